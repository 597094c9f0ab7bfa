use super::*;
use types::{Counters, Exported, FlowSlot};

fn parse(structs: &str) -> Result<Description> {
    Description::parse(format!(r#"{{"version":1,"structs":{structs}}}"#).as_bytes())
}

/// Key, counters and one field more than ours, in another order; 32-bit counters; `b` became an array.
const OTHER: &str = r#"{
    "Counters": {"size": 8, "fields": [
        {"name": "bytes", "type": "u32", "offset": 0}, {"name": "packets", "type": "u32", "offset": 4}]},
    "Exported": {"size": 28, "fields": [
        {"name": "new", "type": "u32", "offset": 0},
        {"name": "counters", "type": "[Counters; 3]", "offset": 4},
        {"name": "answer_count", "type": "[u16 ; 1]", "offset": 0},
        {"name": "answer_sum_ns", "type": "u64", "offset": 20}]}
}"#;

#[test]
fn our_own_description_leads_to_ourselves() {
    let text = own_text();
    let mut padded = text.into_bytes();
    padded.extend([0; 9]);
    let there = Description::parse(&padded).unwrap();
    let plan = Plan::new(&there, &Description::own(), "FlowSlot").unwrap();
    assert_eq!(plan.size, size_of::<FlowSlot>());
    let bytes: Vec<u8> = (0..plan.size).map(|i| (i * 7 + 1) as u8).collect();
    let slot = plan.apply::<FlowSlot>(&bytes);
    // SAFETY: a struct without padding.
    let seen = unsafe { std::slice::from_raw_parts((&raw const slot).cast::<u8>(), size_of::<FlowSlot>()) };
    assert_eq!(seen, bytes);
}

#[test]
fn fields_are_found_by_name_whatever_their_place_and_width() {
    let plan = Plan::new(&parse(OTHER).unwrap(), &Description::own(), "Exported").unwrap();
    let words: [u32; 7] = [0x0001_0009, 1000, 10, 2000, 20, 3000, 30];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let exported = plan.apply::<Exported>(&bytes);
    let expected = [Counters { packets: 10, bytes: 1000 }, Counters { packets: 20, bytes: 2000 }];
    assert_eq!(exported.counters, expected);
    // One of two; and an integer that is an array here is not the same thing.
    assert_eq!((exported.answer_count, exported.answer_sum_ns), ([9, 0], [0, 0]));
}

#[test]
fn types_are_read_as_rust_writes_them() {
    let array = |element, count| Type::Array(Box::new(element), count);
    assert_eq!(parse_type("u16").unwrap(), Type::Integer(2));
    assert_eq!(parse_type("[[u8; 8]; 2]").unwrap(), array(array(Type::Integer(1), 8), 2));
    assert_eq!(parse_type("[ Counters ;2 ]").unwrap(), array(Type::Struct("Counters"), 2));
    for wrong in ["[u8]", "[u8; x]", "[u8; -1]", "[u8; 70000]"] {
        assert!(parse_type(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_damaged_description_is_refused() {
    let with = |size: usize, ty: &str, offset: usize| {
        parse(&format!(r#"{{"S":{{"size":{size},"fields":[{{"name":"f","type":"{ty}","offset":{offset}}}]}}}}"#))
    };
    assert!(with(8, "u64", 0).is_ok());
    for (size, ty, offset) in [
        (8, "u64", 1),
        (8, "u64", usize::MAX),
        (8, "[u64; 2]", 0),
        (8, "[[[u64; 65536]; 65536]; 65536]", 0),
        (8, "T", 0),
        (1 << 20, "u64", 0),
    ] {
        assert!(with(size, ty, offset).is_err(), "{size} {ty} {offset}");
    }
    let deep = format!("{}u8{}", "[".repeat(100_000), "; 1]".repeat(100_000));
    assert!(with(8, &deep, 0).is_err());
    // A struct in itself.
    let cycle = Plan::new(&with(8, "S", 0).unwrap(), &with(8, "S", 0).unwrap(), "S");
    assert!(cycle.is_err() || cycle.is_ok_and(|plan| plan.pieces.is_empty()));
    for bytes in [&b""[..], &[0; 64], b"{", b"[1]", br#"{"version":2,"structs":{}}"#] {
        assert!(Description::parse(bytes).is_err());
    }
}

#[test]
fn no_damage_leads_out_of_the_bytes() {
    let text = own_text().into_bytes();
    let mut seed = 7u32;
    let mut read = 0;
    for _ in 0..5_000 {
        let mut damaged = text.clone();
        for _ in 0..3 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (seed >> 8) as usize % damaged.len();
            damaged[at] = b"0123456789[]\";u,{}x"[(seed >> 4) as usize % 19];
        }
        let Ok(there) = Description::parse(&damaged) else {
            continue;
        };
        if let Ok(plan) = Plan::new(&there, &Description::own(), "FlowSlot") {
            plan.apply::<FlowSlot>(&vec![0xff; plan.size]);
            read += 1;
        }
    }
    assert!(read > 20, "{read} were readable");
}
