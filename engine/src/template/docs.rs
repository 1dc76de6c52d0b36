//! The filters, tests and functions that templates have: the one table, read by checks and by the documentation.

/// What the documentation says about a filter, a test or a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doc {
    /// Its name.
    pub name: &'static str,
    /// How it is written, with its arguments.
    pub signature: &'static str,
    /// What it does, in one line.
    pub text: &'static str,
    /// A template that shows it.
    pub example: &'static str,
    /// What that template gives: JSON.
    pub gives: &'static str,
}

/// Every filter, by name.
pub fn filters() -> &'static [Doc] {
    FILTERS
}

/// Every test (`x is ...`), by name.
pub fn tests() -> &'static [Doc] {
    TESTS
}

/// Every function, by name.
pub fn functions() -> &'static [Doc] {
    FUNCTIONS
}

macro_rules! docs {
    ($($name:literal, $signature:literal, $text:literal, $example:literal => $gives:literal;)*) => {
        &[$(Doc { name: $name, signature: $signature, text: $text, example: $example, gives: $gives }),*]
    };
}

const FILTERS: &[Doc] = docs! {
    "abs", "abs", "The number without its sign.", "{{ -3 | abs }}" => "3";
    "attr", "attr(name)", "The member with this name.", "{{ {'a': 1} | attr('a') }}" => "1";
    "base64", "base64", "The text in Base64.", "{{ 'hi' | base64 }}" => "\"aGk=\"";
    "batch", "batch(count, fill=none)", "The list cut into lists of this length.", "{{ [1, 2, 3] | batch(2) | list }}" => "[[1,2],[3]]";
    "bool", "bool", "Whether the value counts as true.", "{{ 'x' | bool }}" => "true";
    "capitalize", "capitalize", "The first letter large, the others small.", "{{ 'hELLO' | capitalize }}" => "\"Hello\"";
    "chain", "chain(other...)", "Lists one after the other, or objects merged.", "{{ [1] | chain([2]) | list }}" => "[1,2]";
    "count", "count", "The same as `length`.", "{{ [1, 2] | count }}" => "2";
    "d", "d(value)", "The same as `default`.", "{{ none | d('-') }}" => "\"-\"";
    "date", "date(format='%Y-%m-%d', timezone='UTC')", "A time (ISO 8601, or seconds since 1970) in a format of `strftime`.", "{{ '2026-03-01T09:00:00Z' | date('%d.%m. %H:%M', 'Europe/Berlin') }}" => "\"01.03. 10:00\"";
    "default", "default(value='', falsy=false)", "Another value when there is none: a node that did not run, a missing member, or `null`.", "{{ {'a': none}.a | default('none given') }}" => "\"none given\"";
    "dictsort", "dictsort(case_sensitive=false, by='key', reverse=false)", "The members of an object as sorted pairs.", "{{ {'b': 1, 'a': 2} | dictsort }}" => "[[\"a\",2],[\"b\",1]]";
    "e", "e", "The same as `escape`.", "{{ '<b>' | e }}" => "\"&lt;b&gt;\"";
    "escape", "escape", "The text with the special characters of HTML escaped.", "{{ '<b>' | escape }}" => "\"&lt;b&gt;\"";
    "first", "first", "The first item.", "{{ [1, 2] | first }}" => "1";
    "float", "float(default)", "The value as a number with a fraction.", "{{ '1.5' | float }}" => "1.5";
    "format", "format(value...)", "A text with `%s` and its like filled in.", "{{ '%s-%03d' | format('a', 7) }}" => "\"a-007\"";
    "fromjson", "fromjson", "The value that a JSON text holds.", "{{ ('[1, 2]' | fromjson)[0] }}" => "1";
    "groupby", "groupby(attribute, default)", "The list in groups: pairs of a value and the items that have it.", "{{ [{'k': 'a'}, {'k': 'a'}] | groupby('k') | map('first') | list }}" => "[\"a\"]";
    "hmac", "hmac(key, algorithm='sha256')", "The HMAC of the text in hexadecimal; `sha256` or `sha512`. The key may be a secret.", "{{ 'hi' | hmac('key') | truncate(8, '') }}" => "\"1c9dc82e\"";
    "indent", "indent(width=4, first=false, blank=false)", "The lines of the text moved to the right.", "{{ 'a\\nb' | indent(2) }}" => "\"a\\n  b\"";
    "int", "int(default, base=10)", "The value as an integer.", "{{ '42' | int }}" => "42";
    "items", "items", "The members of an object as pairs.", "{{ {'a': 1} | items | list }}" => "[[\"a\",1]]";
    "join", "join(separator='', attribute)", "The items of a list as one text.", "{{ ['a', 'b'] | join(', ') }}" => "\"a, b\"";
    "jsonl", "jsonl", "A list as JSON Lines: one item a line.", "{{ [{'a': 1}, {'a': 2}] | jsonl }}" => "\"{\\\"a\\\":1}\\n{\\\"a\\\":2}\\n\"";
    "last", "last", "The last item.", "{{ [1, 2] | last }}" => "2";
    "length", "length", "How many items, members or characters.", "{{ [1, 2] | length }}" => "2";
    "lines", "lines", "The lines of the text.", "{{ 'a\\nb' | lines }}" => "[\"a\",\"b\"]";
    "list", "list", "The items as a list; of an object, its names.", "{{ range(3) | list }}" => "[0,1,2]";
    "lower", "lower", "The text in small letters.", "{{ 'ABC' | lower }}" => "\"abc\"";
    "map", "map(filter, argument...) or map(attribute=name, default)", "A filter, or a member, of each item.", "{{ [{'a': 1}, {'a': 2}] | map(attribute='a') | list }}" => "[1,2]";
    "max", "max(attribute)", "The largest item.", "{{ [1, 3, 2] | max }}" => "3";
    "min", "min(attribute)", "The smallest item.", "{{ [1, 3, 2] | min }}" => "1";
    "next_link", "next_link", "The address of the next page in a `Link` header, or `null`.", "{{ '<https://e.org/?page=2>; rel=\"next\"' | next_link }}" => "\"https://e.org/?page=2\"";
    "raw_url", "raw_url", "The value as it is, where a URL would percent-encode it.", "{{ 'a/b' | raw_url }}" => "\"a/b\"";
    "regex_match", "regex_match(pattern)", "The first match as a list of the whole and its groups, or `null`.", "{{ 'order 17' | regex_match('order ([0-9]+)') }}" => "[\"order 17\",\"17\"]";
    "regex_replace", "regex_replace(pattern, replacement)", "The text with every match replaced; `$1` is a group.", "{{ 'a1b22' | regex_replace('[0-9]+', '#') }}" => "\"a#b#\"";
    "reject", "reject(test, argument...)", "The items for which a test is false.", "{{ [1, 2, 3] | reject('odd') | list }}" => "[2]";
    "rejectattr", "rejectattr(attribute, test, argument...)", "The items for whose member a test is false.", "{{ [{'a': true}, {'a': false}] | rejectattr('a') | list }}" => "[{\"a\":false}]";
    "replace", "replace(old, new, count)", "The text with a part replaced.", "{{ 'a-b' | replace('-', '+') }}" => "\"a+b\"";
    "reverse", "reverse", "The items, or the characters, in reverse.", "{{ [1, 2] | reverse }}" => "[2,1]";
    "round", "round(precision=0, method='common')", "The number rounded.", "{{ 2.345 | round(1) }}" => "2.3";
    "select", "select(test, argument...)", "The items for which a test is true.", "{{ [1, 2, 3] | select('odd') | list }}" => "[1,3]";
    "selectattr", "selectattr(attribute, test, argument...)", "The items for whose member a test is true.", "{{ [{'a': true}, {'a': false}] | selectattr('a') | list }}" => "[{\"a\":true}]";
    "sha256", "sha256", "The SHA-256 of the text in hexadecimal.", "{{ 'hi' | sha256 | truncate(8, '') }}" => "\"8f434346\"";
    "slice", "slice(count, fill=none)", "The list cut into this many lists.", "{{ [1, 2, 3] | slice(2) | list }}" => "[[1,2],[3]]";
    "sort", "sort(reverse=false, case_sensitive=false, attribute)", "The list sorted.", "{{ [2, 1] | sort }}" => "[1,2]";
    "split", "split(separator, count)", "The parts of a text.", "{{ 'a,b' | split(',') | list }}" => "[\"a\",\"b\"]";
    "string", "string", "The value as text, as it would be printed.", "{{ 12 | string }}" => "\"12\"";
    "sum", "sum(attribute, start=0)", "The sum of the items.", "{{ [1, 2] | sum }}" => "3";
    "title", "title", "The first letter of each word large.", "{{ 'a tale' | title }}" => "\"A Tale\"";
    "tojson", "tojson(indent)", "The value as JSON.", "{{ {'a': [1, none]} | tojson }}" => "\"{\\\"a\\\":[1,null]}\"";
    "trim", "trim(characters)", "The text without white space around it.", "{{ ' a ' | trim }}" => "\"a\"";
    "truncate", "truncate(length, end='...')", "The text, cut so that it has at most this many characters, the end included.", "{{ 'abcdefgh' | truncate(6) }}" => "\"abc...\"";
    "unbase64", "unbase64", "The text that Base64 holds.", "{{ 'aGk=' | unbase64 }}" => "\"hi\"";
    "unique", "unique(case_sensitive=false, attribute)", "The list without repetitions.", "{{ [1, 2, 1] | unique | list }}" => "[1,2]";
    "upper", "upper", "The text in large letters.", "{{ 'abc' | upper }}" => "\"ABC\"";
    "urlencode", "urlencode", "The text percent-encoded; of an object, its members as a query.", "{{ 'a b&c' | urlencode }}" => "\"a%20b%26c\"";
    "zip", "zip(other...)", "Lists side by side, as a list of lists.", "{{ [1, 2] | zip(['a', 'b']) | list }}" => "[[1,\"a\"],[2,\"b\"]]";
};

const TESTS: &[Doc] = docs! {
    "boolean", "is boolean", "It is `true` or `false`.", "{{ true is boolean }}" => "true";
    "defined", "is defined", "It is there; of a node, that it has a value.", "{{ {'a': 1}.b is defined }}" => "false";
    "divisibleby", "is divisibleby(number)", "It can be divided without rest.", "{{ 6 is divisibleby(3) }}" => "true";
    "endingwith", "is endingwith(text)", "The text ends so.", "{{ 'abc' is endingwith('c') }}" => "true";
    "eq", "is eq(value)", "It is equal.", "{{ [1, 2] | select('eq', 2) | list }}" => "[2]";
    "equalto", "is equalto(value)", "The same as `eq`.", "{{ 1 is equalto(1) }}" => "true";
    "even", "is even", "The integer is even.", "{{ 2 is even }}" => "true";
    "failed", "is failed", "The node ended with a failure.", "" => "";
    "false", "is false", "It is `false`.", "{{ false is false }}" => "true";
    "float", "is float", "It is a number with a fraction.", "{{ 1.5 is float }}" => "true";
    "ge", "is ge(value)", "It is not smaller.", "{{ 2 is ge(2) }}" => "true";
    "greaterthan", "is greaterthan(value)", "The same as `gt`.", "{{ 3 is greaterthan(2) }}" => "true";
    "gt", "is gt(value)", "It is larger.", "{{ [1, 2] | select('gt', 1) | list }}" => "[2]";
    "in", "is in(list)", "It is in a list, an object or a text.", "{{ 1 is in([1, 2]) }}" => "true";
    "int", "is int", "The same as `integer`.", "{{ 1 is int }}" => "true";
    "integer", "is integer", "It is an integer.", "{{ 1 is integer }}" => "true";
    "iterable", "is iterable", "A loop can go over it.", "{{ [] is iterable }}" => "true";
    "le", "is le(value)", "It is not larger.", "{{ 2 is le(2) }}" => "true";
    "lessthan", "is lessthan(value)", "The same as `lt`.", "{{ 1 is lessthan(2) }}" => "true";
    "lower", "is lower", "The text has no large letters.", "{{ 'a' is lower }}" => "true";
    "lt", "is lt(value)", "It is smaller.", "{{ 1 is lt(2) }}" => "true";
    "mapping", "is mapping", "It is an object.", "{{ {} is mapping }}" => "true";
    "ne", "is ne(value)", "It is not equal.", "{{ 1 is ne(2) }}" => "true";
    "none", "is none", "It is `null`; of a node, that it has no value.", "{{ none is none }}" => "true";
    "number", "is number", "It is a number.", "{{ 1 is number }}" => "true";
    "odd", "is odd", "The integer is odd.", "{{ 1 is odd }}" => "true";
    "ran", "is ran", "The node ended without a failure.", "" => "";
    "sequence", "is sequence", "It is a list.", "{{ [] is sequence }}" => "true";
    "skipped", "is skipped", "The node was skipped.", "" => "";
    "startingwith", "is startingwith(text)", "The text starts so.", "{{ 'abc' is startingwith('a') }}" => "true";
    "string", "is string", "It is a text.", "{{ 'a' is string }}" => "true";
    "true", "is true", "It is `true`.", "{{ true is true }}" => "true";
    "undefined", "is undefined", "It is not there; of a node, that it has no value.", "{{ {'a': 1}.b is undefined }}" => "true";
    "upper", "is upper", "The text has no small letters.", "{{ 'A' is upper }}" => "true";
};

const FUNCTIONS: &[Doc] = docs! {
    "dict", "dict(name=value...)", "An object of these members.", "{{ dict(a=1) }}" => "{\"a\":1}";
    "namespace", "namespace(name=value...)", "An object whose members `set` can change inside a loop.", "{% set n = namespace(sum=0) %}{% for i in [1, 2] %}{% set n.sum = n.sum + i %}{% endfor %}{{ n.sum }}" => "\"3\"";
    "range", "range(stop) or range(start, stop, step=1)", "Integers, at most 100,000.", "{{ range(1, 4) | list }}" => "[1,2,3]";
};

/// The name in `known` that is closest to a wrong one, if one is close.
pub(super) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).max(1);
    let distances = known.into_iter().map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate));
    distances.filter(|(distance, _)| *distance <= limit).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}
