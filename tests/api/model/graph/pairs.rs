//! Lists of pairs of numbers.

/// Pairs of numbers, oldest first. No pair is in the list twice.
#[derive(Default)]
pub struct Pairs(Vec<(usize, usize)>);

impl Pairs {
    pub fn contains(&self, first: usize, second: usize) -> bool {
        self.0.contains(&(first, second))
    }

    /// Adds a pair. Returns whether it is new.
    pub fn insert(&mut self, first: usize, second: usize) -> bool {
        let is_new = !self.contains(first, second);
        if is_new {
            self.0.push((first, second));
        }
        is_new
    }

    /// Removes a pair. Returns whether there was one.
    pub fn remove(&mut self, first: usize, second: usize) -> bool {
        let before = self.0.len();
        self.0.retain(|pair| *pair != (first, second));
        self.0.len() < before
    }

    /// Removes all pairs that do not fulfil a condition.
    pub fn retain(&mut self, condition: impl Fn(usize, usize) -> bool) {
        self.0.retain(|(first, second)| condition(*first, *second));
    }

    pub fn all(&self) -> Vec<(usize, usize)> {
        self.0.clone()
    }

    /// All pairs, each with its second number first.
    pub fn all_reversed(&self) -> Vec<(usize, usize)> {
        self.0.iter().map(|(first, second)| (*second, *first)).collect()
    }

    /// The second numbers of the pairs that begin with `first`, newest pair first.
    pub fn after(&self, first: usize) -> Vec<usize> {
        self.0.iter().rev().filter(|pair| pair.0 == first).map(|pair| pair.1).collect()
    }

    /// The first numbers of the pairs that end with `second`, newest pair first.
    pub fn before(&self, second: usize) -> Vec<usize> {
        self.0.iter().rev().filter(|pair| pair.1 == second).map(|pair| pair.0).collect()
    }
}
