//! What the allocator keeps goes back to the system; in a process of its own, whose memory nobody else changes.

#![cfg(target_env = "gnu")]

use std::fs;

const BLOCKS: usize = 40_000;
const BLOCK_BYTES: usize = 2000;
/// One block in so many stays: behind it the allocator cannot shrink by itself.
const KEPT: usize = 100;

fn resident_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn trim_gives_back_what_is_free_between_blocks_in_use() {
    let mut blocks: Vec<Option<Vec<u8>>> = (0..BLOCKS).map(|_| Some(vec![1; BLOCK_BYTES])).collect();
    for (i, block) in blocks.iter_mut().enumerate() {
        if i % KEPT != 0 {
            *block = None;
        }
    }
    let before = resident_bytes();
    mermin_loader::mermin_trim();
    let given_back = before.saturating_sub(resident_bytes());
    assert!(given_back > BLOCKS * BLOCK_BYTES / 2, "only {given_back} bytes");
    assert!(blocks.iter().flatten().all(|block| block.iter().all(|&byte| byte == 1)));
}
