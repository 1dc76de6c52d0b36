//! "Did you mean": the nearest of the known names.

/// The known name that is nearest to a mistyped one: at most `1 + length / 4` letters away, where swapped neighbours
/// are one mistake, and case, `-` and `_` none.
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let wanted = plain(name);
    let limit = 1 + wanted.chars().count() / 4;
    candidates
        .into_iter()
        .filter(|candidate| *candidate != name && candidate.len().abs_diff(name.len()) <= 2 * limit)
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The hint ``did you mean `name`?``, when a known name is near.
pub fn hint<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    nearest(name, candidates).map(|near| format!("did you mean `{near}`?"))
}

/// Names as messages list them: `` `a`, `b` or `c` ``; at most sixteen.
pub fn list<'c>(names: impl IntoIterator<Item = &'c str>) -> String {
    const MOST: usize = 16;
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] if names.len() <= MOST => format!("{} or {last}", first.join(", ")),
        _ => format!("{} or {} more", names[..MOST - 1].join(", "), names.len() - MOST + 1),
    }
}

fn plain(name: &str) -> String {
    name.chars().take(200).map(|letter| if letter == '-' { '_' } else { letter.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_no_far_one() {
        let names = ["method", "query", "http-request", "id"];
        assert_eq!(nearest("methd", names), Some("method"));
        assert_eq!(nearest("qurey", names), Some("query"));
        assert_eq!(nearest("http_request", names), Some("http-request"));
        assert_eq!(nearest("xy", names), None);
        assert_eq!(nearest("body", names), None);
    }
}
