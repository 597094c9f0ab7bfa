//! Tests of the HCL front end. Nodes are compared in a short form: `type@line:column value`.

use super::*;

const GUIDE: &str = include_str!("../../../tests/config/guide/config.hcl");

fn env(name: &str) -> Option<String> {
    (name == "SET").then(|| "from env".to_string())
}

fn tree(source: &str) -> Json {
    serde_json::from_str(&parse_with(source, &env).unwrap()).unwrap()
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
        ("a = env(\"SET\") ? 1 : 2", "cannot be computed: a boolean is needed here"),
    ];
    for (source, expected) in cases {
        let root = &tree(&format!("{source}\nb = 2"))["root"];
        assert_eq!(short(root), format!("{{a@1:1 = error@1:5 {expected}, b@2:1 = 2@2:5}}"), "{source}");
        assert!(!root.to_string().contains("from env"), "{source} shows a value");
    }
}

#[test]
fn parse_reports_where_the_syntax_is_wrong() {
    let problem = |source: &str| {
        let problems: Json = serde_json::from_str(&parse_with(source, &env).unwrap_err()).unwrap();
        format!("{}:{} {}", problems[0]["line"], problems[0]["column"], problems[0]["message"].as_str().unwrap())
    };
    let cases = [
        ("a = 1\nb {\n", "2:5 expected `}`, or the next line; a block on one line holds a single setting"),
        ("a = 1 b = 2", "1:7 expected newline or eof"),
        ("a = \"x", "1:1 cannot be read from here on; is a quote or a bracket left open?"),
        ("a = 1\na = 2", "2:1 this name is already given above, in the same block; remove one of the two"),
        ("a = {b=1,b=2}", "1:10 this name is already given above"),
        ("1", "1:1 cannot be read from here on"),
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
fn parse_reads_the_guide() {
    let text = parse_with(GUIDE, &env).unwrap();
    assert!(text.contains("otel-collector") && !text.contains("\"error\""));
}

/// A generator with a fixed seed (xorshift64), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn parse_never_panics() {
    const PIECES: [&str; 28] = [
        "{", "}", "[", "]", "(", ")", "\"", "${", "%{", "%{if", "<<E\n", "E", "=", ":", "?", "!", "-", "%", "\\u",
        "env(", "for", "in", "...", "[*]", ".0", "\n", "/*", "é",
    ];
    let number =
        |name: &str, otherwise: u64| std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"));
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ number("MERMIN_FUZZ_SEED", 0));
    // `tools/fuzz` asks for more, from another seed.
    for round in 0..number("MERMIN_FUZZ_ROUNDS", 4000) {
        let mut source = if round % 4 == 0 { String::new() } else { GUIDE.to_string() };
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
        let _ = parse_with(&source, &env);
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
        let parse = move || assert!(parse_with(&source, &env).is_ok(), "{source}");
        std::thread::Builder::new().stack_size(2 << 20).spawn(parse).unwrap().join().unwrap();
    }
}
