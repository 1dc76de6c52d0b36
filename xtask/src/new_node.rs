//! `cargo xtask new-node family/name`: a file from a template, and its two lines in the family.

use std::fs;

const TEMPLATE: &str = include_str!("new_node/template.txt");

/// Writes the node type and registers it.
pub(crate) fn write(path: &str) -> Result<String, String> {
    let (family, name) = path.split_once('/').ok_or("new-node: expected FAMILY/NAME, as in `data/split_text`")?;
    if !is_snake_case(name) {
        return Err(format!("new-node: expected a file name in snake_case, found `{name}`"));
    }
    let nodes = crate::root().join("nodes/src");
    let family_file = nodes.join(format!("{family}.rs"));
    let node_file = nodes.join(family).join(format!("{name}.rs"));
    let listed = fs::read_to_string(&family_file)
        .map_err(|_| format!("new-node: there is no family `{family}`; `ls nodes/src` shows them"))?;
    if node_file.exists() {
        return Err(format!("new-node: `nodes/src/{path}.rs` is there already"));
    }
    let listed = register(&listed, name).ok_or(format!("new-node: `nodes/src/{family}.rs` has no list to add to"))?;
    let said = |error| format!("new-node: {error}");
    fs::create_dir_all(nodes.join(family)).map_err(said)?;
    fs::write(&node_file, fill(TEMPLATE, family, name)).map_err(said)?;
    fs::write(&family_file, listed).map_err(said)?;
    Ok(format!(
        "new-node: wrote nodes/src/{path}.rs and registered it in nodes/src/{family}.rs\n\
         next: fill it in, then `cargo nextest run -p liteagent-nodes` and `cargo xtask generate`"
    ))
}

fn is_snake_case(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn fill(template: &str, family: &str, name: &str) -> String {
    template
        .replace("@type", &name.replace('_', "-"))
        .replace("@Name", &camel_case(name))
        .replace("@Family", &camel_case(family))
}

fn camel_case(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// Adds `mod name;` after the last one, and `.with::<name::Name>()` after the last one.
fn register(listed: &str, name: &str) -> Option<String> {
    let mut lines: Vec<String> = listed.lines().map(str::to_owned).collect();
    let is_mod =
        |line: &String| line.starts_with("mod ") || line.starts_with("pub mod ") || line.starts_with("pub(crate) mod ");
    let last_mod = lines.iter().rposition(is_mod)?;
    lines.insert(last_mod + 1, format!("mod {name};"));
    let last_with = lines.iter().rposition(|line| line.trim_start().starts_with(".with::<"))?;
    let indent = lines[last_with].len() - lines[last_with].trim_start().len();
    lines.insert(last_with + 1, format!("{}.with::<{name}::{}>()", " ".repeat(indent), camel_case(name)));
    Some(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_type_is_added_to_its_family() {
        let family = "//! Data.\nmod json;\n\npub fn register(registry: Registry) -> Registry {\n    registry\n        .with::<json::Json>()\n}\n";
        assert_eq!(
            register(family, "split_text").unwrap(),
            "//! Data.\nmod json;\nmod split_text;\n\npub fn register(registry: Registry) -> Registry {\n    registry\n        .with::<json::Json>()\n        .with::<split_text::SplitText>()\n}\n"
        );
    }
}
