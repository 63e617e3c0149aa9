//! Chance that can be repeated.

/// Numbers that a printed seed brings back: `PGBK_TEST_SEED=…` repeats a run.
pub struct Random(u64);

impl Random {
    pub fn new(what: &str) -> Random {
        let given = std::env::var("PGBK_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let mut fresh = [0; 8];
        openssl::rand::rand_bytes(&mut fresh).expect("random");
        let seed = given.unwrap_or(u64::from_ne_bytes(fresh)) | 1;
        eprintln!("{what}: PGBK_TEST_SEED={seed}");
        Random(seed)
    }

    /// Other numbers, which the same seed brings back.
    pub fn fork(&mut self) -> Random {
        self.below(2);
        Random(self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}
