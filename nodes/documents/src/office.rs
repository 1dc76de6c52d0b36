//! What the formats of Office have in common: parts, how they refer to each other, and the title of the whole.

use std::collections::HashMap;

use crate::{
    archive::{Archive, folder, resolve},
    trouble::Trouble,
    xml::{Piece, walk},
};

/// A reference of a part to another.
pub(crate) struct Relation {
    /// What it is for: the last word of its type.
    pub(crate) kind: String,
    /// The part, by its name in the archive.
    pub(crate) target: String,
}

/// The references of a part, by their ids. The empty name is that of the whole file.
pub(crate) fn relations(archive: &mut Archive<'_>, part: &str) -> Result<HashMap<String, Relation>, Trouble> {
    let (folder, file) = (folder(part), part.rsplit('/').next().unwrap_or_default());
    let name = resolve(folder, &format!("_rels/{file}.rels"));
    let mut found = HashMap::new();
    let Some(xml) = archive.read(&name)? else { return Ok(found) };
    walk(&name, &xml, |piece| {
        if let Piece::Start(tag) = piece
            && tag.name == "Relationship"
            && tag.get("TargetMode").as_deref() != Some("External")
            && let (Some(id), Some(kind), Some(target)) = (tag.get("Id"), tag.get("Type"), tag.get("Target"))
        {
            let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
            found.insert(id, Relation { kind, target: resolve(folder, &target) });
        }
        Ok(())
    })?;
    Ok(found)
}

/// The part that a part refers to for some purpose.
pub(crate) fn related(relations: &HashMap<String, Relation>, kind: &str) -> Option<String> {
    let mut of_kind: Vec<_> = relations.iter().filter(|(_, relation)| relation.kind == kind).collect();
    of_kind.sort_by_key(|(id, _)| *id);
    of_kind.first().map(|(_, relation)| relation.target.clone())
}

/// The part that holds the document itself; `usual` where nothing says which.
pub(crate) fn main_part(archive: &mut Archive<'_>, usual: &str) -> Result<String, Trouble> {
    let relations = relations(archive, "")?;
    Ok(related(&relations, "officeDocument").unwrap_or_else(|| usual.to_owned()))
}

/// The title in the properties of a document.
pub(crate) fn title(archive: &mut Archive<'_>, part: &str) -> Result<Option<String>, Trouble> {
    let Some(xml) = archive.read(part)? else { return Ok(None) };
    let (mut title, mut is_inside) = (String::new(), false);
    walk(part, &xml, |piece| {
        match piece {
            Piece::Start(tag) => is_inside = tag.name == "title",
            Piece::End(_) => is_inside = false,
            Piece::Text(text) if is_inside => title.push_str(text),
            Piece::Text(_) => {}
        }
        Ok(())
    })?;
    Ok(Some(title).filter(|title| !title.trim().is_empty()))
}
