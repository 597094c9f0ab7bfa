//! Prints `src/capture/layout.gen.ts`: `cargo run -q -p types --example layout > ../src/capture/layout.gen.ts`.
use types::{LAYOUT_HASH, LAYOUTS, NAT_NONE, NAT_ORIGINAL, NAT_TRANSLATED, end_reason, lost, programs, unparsed};

fn camel(name: &str) -> String {
    let mut out = String::new();
    let mut upper = false;
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else if upper {
            out.extend(c.to_uppercase());
            upper = false;
        } else {
            out.push(c);
        }
    }
    out
}

fn strings(names: &[&str]) -> String {
    names.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ")
}

fn main() {
    println!("// Generated from bpf-rs/types by `deno task generate`; do not edit.");
    println!("// Byte offsets of the structs that the loader and the BPF programs share.\n");
    println!("export const LAYOUT_HASH = \"{LAYOUT_HASH:016x}\";");
    for layout in LAYOUTS {
        println!("\nexport const {} = {{\n  size: {},", layout.name, layout.size);
        for field in layout.fields {
            println!("  {}: {},", camel(field.name), field.offset);
        }
        println!("}} as const;");
    }
    println!("\nexport const PROGRAM_NAMES = [{}] as const;", strings(&programs::ALL));
    println!("export const UNPARSED_REASONS = [{}] as const;", strings(&unparsed::NAMES));
    println!("export const LOST_REASONS = [{}] as const;", strings(&lost::NAMES));
    print_codes(
        "EndReasonCode",
        &[
            ("IDLE_TIMEOUT", end_reason::IDLE_TIMEOUT),
            ("ACTIVE_TIMEOUT", end_reason::ACTIVE_TIMEOUT),
            ("END_OF_FLOW_DETECTED", end_reason::END_OF_FLOW_DETECTED),
            ("FORCED_END", end_reason::FORCED_END),
            ("LACK_OF_RESOURCES", end_reason::LACK_OF_RESOURCES),
        ],
    );
    print_codes("NatCode", &[("NONE", NAT_NONE), ("ORIGINAL", NAT_ORIGINAL), ("TRANSLATED", NAT_TRANSLATED)]);
}

fn print_codes(name: &str, codes: &[(&str, u8)]) {
    println!("\nexport const {name} = {{");
    for (name, value) in codes {
        println!("  {name}: {value},");
    }
    println!("}} as const;");
}
