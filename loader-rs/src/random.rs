//! Chance for tests.

/// A generator with a fixed seed (xorshift64), so that a failure can be repeated.
pub struct Random(u64);

impl Random {
    /// `tools/fuzz` asks for another seed.
    pub fn seeded() -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ number("MERMIN_FUZZ_SEED", 0))
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// How often a test tries something: `tools/fuzz` asks for more.
pub fn rounds(otherwise: u64) -> u64 {
    number("MERMIN_FUZZ_ROUNDS", otherwise)
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}
