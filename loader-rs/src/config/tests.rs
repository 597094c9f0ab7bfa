//! Tests of the front end. Nodes are compared in a short form: `type@line:column value`.

use super::*;
use crate::random::{self, Random};

const GUIDE: &str = include_str!("../../../tests/config/guide/config.hcl");
const GUIDE_YAML: &str = include_str!("../../../tests/config/guide/config.yaml");
const GUIDE_JSON: &str = include_str!("../../../tests/config/guide/config.json");

fn env(name: &str) -> Option<String> {
    (name == "SET").then(|| "from env".to_string())
}

fn tree(source: &str) -> Json {
    tree_of(source, Format::Hcl)
}

fn tree_of(source: &str, format: Format) -> Json {
    serde_json::from_str(&parse_with(source, format, &env).unwrap()).unwrap()
}

fn problem(source: &str, format: Format) -> String {
    let problems: Json = serde_json::from_str(&parse_with(source, format, &env).unwrap_err()).unwrap();
    format!("{}:{} {}", problems[0]["line"], problems[0]["column"], problems[0]["message"].as_str().unwrap())
}

fn short(node: &Json) -> String {
    let at = |node: &Json| format!("{}:{}", node["line"], node["column"]);
    let list = |items: &Json, each: &dyn Fn(&Json) -> String| {
        items.as_array().unwrap().iter().map(each).collect::<Vec<_>>().join(", ")
    };
    let computed = if node["computed"] == true { "!" } else { "" };
    match node["type"].as_str().unwrap() {
        "object" => {
            let entry =
                |entry: &Json| format!("{}@{} = {}", entry["key"].as_str().unwrap(), at(entry), short(&entry["value"]));
            let label = if node["labels"] == true { "label " } else { "" };
            format!("{label}{{{}}}", list(&node["entries"], &entry))
        }
        "list" => format!("[{}]", list(&node["items"], &short)),
        "error" => format!("error@{} {}", at(node), node["message"].as_str().unwrap()),
        _ => format!("{}@{}{computed}", node["value"], at(node)),
    }
}

#[test]
fn parse_gives_every_value_its_position() {
    let cases = [
        ("a = 1", "{a@1:1 = 1@1:5}"),
        ("\n  a = \"é\" # x\n", "{a@2:3 = \"é\"@2:7}"),
        ("é = 1\nb = -2.5", "{é@1:1 = 1@1:5, b@2:1 = -2.5@2:5}"),
        ("a = [1,\n true]", "{a@1:1 = [1@1:6, true@2:2]}"),
        ("a = { b = 1, \"c\" : 2 }", "{a@1:1 = {b@1:7 = 1@1:11, c@1:14 = 2@1:20}}"),
        ("a = {\n  b /* c */ = 1\n}", "{a@1:1 = {b@2:15 = 1@2:15}}"),
        ("a { b = 1 }", "{a@1:1 = {b@1:5 = 1@1:9}}"),
        ("a \"b\" c {\n d = 1\n}", "{a@1:1 = label {b@1:3 = label {c@1:7 = {d@2:2 = 1@2:6}}}}"),
        ("a = <<E\nx\nE\n", "{a@1:1 = \"x\\n\"@1:5!}"),
        ("a = <<E\nE\nb = 1", "{a@1:1 = \"\"@1:5!, b@3:1 = 1@3:5}"),
        ("a = (1)", "{a@1:1 = 1@1:6}"),
        ("a = null", "{a@1:1 = null@1:5}"),
        ("\u{feff}a = 1", "{a@1:1 = 1@1:5}"),
        ("a = 1\r\nb = 2\r\n", "{a@1:1 = 1@1:5, b@2:1 = 2@2:5}"),
        ("", "{}"),
    ];
    for (source, expected) in cases {
        assert_eq!(short(&tree(source)["root"]), expected, "{source}");
    }
}

#[test]
fn parse_computes_templates_conditions_and_env() {
    let cases = [
        ("a = env(\"SET\")", "\"from env\"@1:5!"),
        ("a = env(\"NONE\", \"x\")", "\"x\"@1:5!"),
        ("a = env(\"NONE\", env(\"SET\"))", "\"from env\"@1:5!"),
        ("a = \"<${env(\"SET\")}>\"", "\"<from env>\"@1:5!"),
        ("a = \"$${x}\"", "\"${x}\"@1:5"),
        ("a = env(\"NONE\", \"x\") == \"x\" ? 1 : 2", "1@1:5!"),
        ("a = [for n in [1, 2] : \"eth${n}\"]", "[\"eth1\"@1:5, \"eth2\"@1:5]"),
        ("a = [env(\"SET\")]", "[\"from env\"@1:6!]"),
        ("a = { (env(\"SET\")) = 1 }", "{from env@1:7 = 1@1:22}"),
    ];
    for (source, expected) in cases {
        assert_eq!(short(&tree(source)["root"]["entries"][0]["value"]), expected, "{source}");
    }
}

#[test]
fn parse_lists_unset_variables() {
    let tree = tree("a = env(\"SET\")\nb = [\"x\", env(\"NONE\")]\nc = env(\"OTHER\", \"\")\nd = env(\"\")");
    let expected = json!([{ "variable": "NONE", "line": 2, "column": 11 }, { "variable": "", "line": 4, "column": 5 }]);
    assert_eq!(tree["unset"], expected);
}

#[test]
fn parse_keeps_going_after_a_value_that_cannot_be_computed() {
    let cases = [
        ("a = info", "info is not known here; write \"info\" in double quotes if it is meant as text"),
        ("a = file(\"x\")", "file() is not known; the only function is env(\"NAME\") or env(\"NAME\", \"default\")"),
        ("a = env(1)", "env() takes a name, and perhaps a default, both in double quotes: env(\"NAME\", \"default\")"),
        ("a = 5 % 0", "arithmetic (%) is not supported; write the result"),
        ("a = 18446744073709551615 + 1", "arithmetic (+) is not supported; write the result"),
        ("a = [1][7]", "cannot be computed: the list has no item 7"),
        ("a = !env(\"SET\")", "cannot be computed: ! does not fit this value"),
        ("a = env(\"SET\") && true", "cannot be computed: && does not fit these values"),
        ("a = env(\"SET\") ? 1 : 2", "cannot be computed: true or false is needed here"),
    ];
    for (source, expected) in cases {
        let root = &tree(&format!("{source}\nb = 2"))["root"];
        assert_eq!(short(root), format!("{{a@1:1 = error@1:5 {expected}, b@2:1 = 2@2:5}}"), "{source}");
        assert!(!root.to_string().contains("from env"), "{source} shows a value");
    }
}

#[test]
fn parse_reports_where_the_syntax_is_wrong() {
    let problem = |source: &str| problem(source, Format::Hcl);
    let cases = [
        ("a = 1\nb {\n", "2:5 expected `}`, or the next line; a block on one line holds a single setting"),
        ("a = 1 b = 2", "1:7 expected newline or eof"),
        ("a = \"x", "1:1 cannot be read from here on; is a quote or a bracket left open?"),
        ("a = 1\na = 2", "2:1 this name is already given above, in the same block; remove one of the two"),
        ("a = {b=1,b=2}", "1:10 this name is already given above"),
        ("1", "1:1 cannot be read from here on"),
        ("a = <<E\nE\nb = 1\nc = <<E\nx\nE\n", "1:5 an empty heredoc; write \"\" instead"),
    ];
    for (source, expected) in cases {
        let found = problem(source);
        assert!(found.starts_with(expected), "{source}: {found}");
    }
    let deep = format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(problem(&deep).starts_with("1:70 nested too deeply; at most 64 levels are read"));
    assert!(problem(&"a".repeat(MAX_SOURCE + 1)).contains("at most 1048576 are read"));
}

#[test]
fn values_with_thousands_of_indexes_are_refused() {
    for part in ["[*]", "[0]", ".x", ".*", ".0"] {
        let source = format!("a = [1]{}", part.repeat(100_000));
        let root = &tree(&source)["root"];
        assert_eq!(short(root), "{a@1:1 = error@1:5 too long; at most 64 of [ ] and . may follow a value}", "{part}");
    }
}

#[test]
fn parse_reads_the_guide() {
    for (format, guide) in [(Format::Hcl, GUIDE), (Format::Yaml, GUIDE_YAML), (Format::Json, GUIDE_JSON)] {
        let text = parse_with(guide, format, &env).unwrap();
        assert!(text.contains("otel-collector") && !text.contains("\"error\""), "{format:?}");
    }
}

#[test]
fn parse_never_panics() {
    const PIECES: [&str; 42] = [
        "{", "}", "[", "]", "(", ")", "\"", "${", "%{", "%{if", "<<E\n", "E", "=", ":", "?", "!", "-", "%", "\\u",
        "env(", "for", "in", "...", "[*]", ".0", "\n", "/*", "é", "&a ", "*a", "'", "|\n", ">-\n", "---\n", "\t", "  ",
        "- ", ": ", ",", "#", "!!str ", "\r",
    ];
    let mut random = Random::seeded();
    let files = [(Format::Hcl, GUIDE), (Format::Yaml, GUIDE_YAML), (Format::Json, GUIDE_JSON)];
    for round in 0..random::rounds(4000) {
        let (format, guide) = files[random.below(files.len())];
        let mut source = if round % 4 == 0 { String::new() } else { guide.to_string() };
        for _ in 0..=random.below(8) {
            let mut at = random.below(source.len() + 1);
            while !source.is_char_boundary(at) {
                at -= 1;
            }
            match random.below(4) {
                0 => source.insert_str(at, &PIECES[random.below(PIECES.len())].repeat(1 + random.below(80))),
                1 => source.insert_str(at, PIECES[random.below(PIECES.len())]),
                2 => source.insert(at, char::from_u32(random.below(0x2_0000) as u32).unwrap_or('x')),
                _ => source.truncate(at),
            }
        }
        let _ = parse_with(&source, format, &env);
    }
}

#[test]
fn parse_at_the_nesting_limit_fits_a_small_stack() {
    let sources = [
        format!("a = {}1{}", "[".repeat(64), "]".repeat(64)),
        format!("a = {}1{}", "{b=".repeat(64), "}".repeat(64)),
        format!("a = {}true", "!".repeat(64)),
        format!("a = \"{}x{}\"", "${\"".repeat(32), "\"}".repeat(32)),
        format!("a = {}", vec!["true"; 128].join(" && ")),
        format!("{}{}", "a {\n".repeat(64), "}\n".repeat(64)),
    ];
    for source in sources {
        let parse = move || assert!(parse_with(&source, Format::Hcl, &env).is_ok(), "{source}");
        std::thread::Builder::new().stack_size(2 << 20).spawn(parse).unwrap().join().unwrap();
    }
}

#[test]
fn parse_reads_yaml_by_the_core_schema() {
    let cases = [
        ("a: 1\né: {c: x}", "{a@1:1 = 1@1:4, é@2:1 = {c@2:5 = \"x\"@2:8}}"),
        ("a:\n  - x\n  - b: true", "{a@1:1 = [\"x\"@2:5, {b@3:5 = true@3:8}]}"),
        (
            "a: [0x1F, 0o17, -2, +3, 1.5, 1e3, .5, 1_000]",
            "{a@1:1 = [31@1:5, 15@1:11, -2@1:17, 3@1:21, 1.5@1:25, 1000.0@1:30, 0.5@1:35, \"1_000\"@1:39]}",
        ),
        ("a: [~, null, , yes, on, 5s, '7', \"8\"]", "1:14"),
        (
            "a: [~, null, yes, 5s, '7', \"8\"]",
            "{a@1:1 = [null@1:5, null@1:8, \"yes\"@1:14, \"5s\"@1:19, \"7\"@1:23, \"8\"@1:28]}",
        ),
        ("a: !!str 5\nb: !!int 5", "{a@1:1 = \"5\"@1:4, b@2:1 = 5@2:4}"),
        ("a: |\n  x\n  y\n", "{a@1:1 = \"x\\ny\\n\"@2:3}"),
        ("a: &x {b: 1}\nc: *x", "{a@1:1 = {b@1:8 = 1@1:11}, c@2:1 = {b@1:8 = 1@1:11}}"),
        ("# nothing\n", "{}"),
        ("", "{}"),
        ("---\na: 1\n...\n", "{a@2:1 = 1@2:4}"),
        ("a: 1\na: 2", "{a@1:1 = 1@1:4, a@2:1 = 2@2:4}"),
    ];
    for (source, expected) in cases {
        match parse_with(source, Format::Yaml, &env) {
            Ok(text) => assert_eq!(short(&serde_json::from_str::<Json>(&text).unwrap()["root"]), expected, "{source}"),
            Err(_) => assert!(problem(source, Format::Yaml).starts_with(expected), "{source}"),
        }
    }
}

#[test]
fn parse_computes_texts_of_yaml_and_json_as_hcl_does() {
    let cases = [
        ("env(\"SET\")", "\"from env\"!"),
        ("env(\"NONE\", \"x\")", "\"x\"!"),
        ("<${env(\"SET\")}>", "\"<from env>\"!"),
        ("${5}", "5!"),
        ("$${x}", "\"${x}\"!"),
        ("${env(\"NONE\", \"1\") == \"1\" ? \"a\" : \"b\"}", "\"a\"!"),
        ("env(1)", "env() takes a name, and perhaps a default, both in double quotes: env(\"NAME\", \"default\")"),
        (
            "env(\"a\" b)",
            "env() takes a name, and perhaps a default, both in double quotes: env(\"NAME\", \"default\")",
        ),
        ("${x}", "x is not known here; write \"x\" in double quotes if it is meant as text"),
        ("${1 % 0}", "arithmetic (%) is not supported; write the result"),
        ("${", "cannot be read as a template: ${…} holds an expression; write $${ for the characters ${"),
        ("environment(x)", "\"environment(x)\""),
    ];
    for (text, expected) in cases {
        let yaml = tree_of(&format!("a: ['{text}']"), Format::Yaml);
        let json = tree_of(&format!("{{\"a\": [{}]}}", json!(text)), Format::Json);
        for tree in [yaml, json] {
            let value = &tree["root"]["entries"][0]["value"]["items"][0];
            let found = short(value).replace(&format!("@{}:{}", value["line"], value["column"]), "");
            assert_eq!(found.strip_prefix("error ").unwrap_or(&found), expected, "{text}");
        }
    }
    let tree = tree_of("a:\n  b: env(\"NONE\")", Format::Yaml);
    assert_eq!(tree["unset"], json!([{ "variable": "NONE", "line": 2, "column": 6 }]));
    let tree = tree_of("\"${env(\\\"SET\\\")}\": 1", Format::Yaml);
    assert_eq!(short(&tree["root"]), "{from env@1:1 = 1@1:20}");
}

#[test]
fn parse_refuses_what_yaml_can_do_and_a_configuration_should_not() {
    let errors = [
        ("a: *b", "1:4 this alias has no anchor; write &name in front of the value it stands for"),
        ("- a", "1:1 a configuration is a group of settings, such as log_level and span"),
        ("text", "1:1 a configuration is a group of settings, such as log_level and span"),
        ("a: 1\n---\nb: 2", "2:1 a second document begins here (---); a configuration is one document"),
        ("a: 1\n\tb: 2", "2:1 a tab cannot be used here; indent with spaces"),
        (
            "a: b: c",
            "1:5 a second \":\" in this line, or a line that is indented too far; put text with \": \" in quotes",
        ),
        ("a: [1, 2", "2:1 a comma or ] is missing before this"),
        ("a: \"x", "1:4 the file ends within a text or a bracket"),
        ("a: 1\n b: 2", "2:3 "),
        ("a: \"\\d\"", "1:4 an escape that YAML does not know; use single quotes for text with backslashes"),
    ];
    for (source, expected) in errors {
        let found = problem(source, Format::Yaml);
        assert!(found.starts_with(expected), "{source}: {found}");
    }
    let values = [
        ("a: !x 1", "{a@1:1 = error@1:4 the tag !x is not known; remove it}"),
        ("a: .inf", "{a@1:1 = error@1:4 not a number that can be used}"),
        ("a: &a [*a]", "{a@1:1 = [error@1:8 this alias stands for a value that contains it]}"),
        ("? [1]\n: 2", "{@1:3 = error@1:3 the name of a setting must be text}"),
        (
            "b: &b {}\na:\n  <<: *b",
            "{b@1:1 = {}, a@2:1 = {@3:3 = error@3:3 merging with << is not part of YAML 1.2; write the settings out}}",
        ),
    ];
    for (source, expected) in values {
        assert_eq!(short(&tree_of(source, Format::Yaml)["root"]), expected, "{source}");
    }
}

#[test]
fn parse_bounds_what_aliases_stand_for() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_string();
    for level in 1..30 {
        let before = format!("*a{}", level - 1);
        laughs += &format!("a{level}: &a{level} [{}]\n", [before.as_str(); 9].join(", "));
    }
    let found = problem(&laughs, Format::Yaml);
    assert!(found.contains("too large: with its aliases followed, the file has more than 20000 values"), "{found}");
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let deep = format!("a: {}1{}", open.repeat(1000), close.repeat(1000));
        let found = problem(&deep, Format::Yaml);
        assert!(found.contains("nested too deeply; at most 64 levels"), "{found}");
    }
}

#[test]
fn parse_reads_json_strictly() {
    let tree = tree_of("{\n  \"é\": [1, -2.5, true, null, \"\\u00e9\\ud83d\\ude00\"]}", Format::Json);
    assert_eq!(short(&tree["root"]), "{é@2:3 = [1@2:9, -2.5@2:12, true@2:18, null@2:24, \"é😀\"@2:30]}");
    let cases = [
        ("", "1:1 a configuration is a group of settings, such as log_level and span"),
        (" [1]", "1:2 a configuration is a group of settings, such as log_level and span"),
        ("{\"a\": 1,}", "1:8 no comma may stand behind the last one; remove it"),
        ("{\"a\": 1 \"b\": 2}", "1:8 a comma is missing here"),
        ("{\"a\": 'x'}", "1:7 text must stand in double quotes"),
        ("{a: 1}", "1:2 the name of a setting must stand in double quotes"),
        ("{\"a\": info}", "1:7 not known; text must stand in double quotes"),
        ("{ // x\n}", "1:3 JSON has no comments; remove it, or write the file as YAML or HCL"),
        ("{\"a\": [1", "1:7 this [ is never closed; a ] is missing"),
        ("{\"a\": 1", "1:1 this { is never closed; a } is missing"),
        ("{\"a\": 0x1F}", "1:7 "),
        ("{\"a\": 1} {}", "1:10 text cannot contain more than one json value"),
    ];
    for (source, expected) in cases {
        let found = problem(source, Format::Json);
        assert!(found.starts_with(expected), "{source}: {found}");
    }
    for count in [70, 100_000] {
        let deep = format!("{{\"a\": {}1{}}}", "[".repeat(count), "]".repeat(count));
        assert!(problem(&deep, Format::Json).contains("nested too deeply; at most 64 levels"), "{count}");
    }
}
