//! The packages inside the Python guest.

use liteagent_sandbox_protocol::Package;

/// The packages that the guest is built with, in the order of their names.
pub fn packages() -> Vec<Package> {
    include_str!("../guests/python/packages.txt").lines().filter_map(read).collect()
}

/// Reads a line of a file of requirements: `name==version --hash=...`.
fn read(line: &str) -> Option<Package> {
    let requirement = line.split([' ', '#']).next()?;
    let (name, version) = requirement.split_once("==")?;
    Some(Package { name: name.to_owned(), version: version.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_requirement_is_a_package() {
        let packages = packages();
        let lines = include_str!("../guests/python/packages.txt").lines().filter(|line| !line.starts_with('#'));
        assert_eq!(packages.len(), lines.count());
        let jinja = Package { name: "jinja2".into(), version: "3.1.6".into() };
        assert!(packages.contains(&jinja), "{packages:?}");
        assert!(packages.is_sorted_by_key(|package| &package.name));
    }
}
