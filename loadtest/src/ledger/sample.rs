/// A uniform sample of at most `max` items, in memory for as many (reservoir sampling).
#[derive(Clone, Debug)]
pub(super) struct Reservoir<T> {
    sample: Vec<T>,
    max: usize,
    seen: u64,
}

impl<T> Reservoir<T> {
    pub(super) const fn new(max: usize) -> Self {
        Self { sample: Vec::new(), max, seen: 0 }
    }

    /// Offers an item, which is made only if it is sampled.
    pub(super) fn offer(&mut self, item: impl FnOnce() -> T) {
        self.seen += 1;
        if self.sample.len() < self.max {
            return self.sample.push(item());
        }
        let place = rand::random_range(0..self.seen) as usize;
        if let Some(other) = self.sample.get_mut(place) {
            *other = item();
        }
    }

    pub(super) fn into_sample(self) -> Vec<T> {
        self.sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_sampled_as_often() {
        let mut sampled = [0_u32; 20];
        for _trial in 0..20_000 {
            let mut reservoir = Reservoir::new(5);
            (0..20).for_each(|item: usize| reservoir.offer(|| item));
            reservoir.into_sample().into_iter().for_each(|item| sampled[item] += 1);
        }
        // A quarter of 20,000 with the standard deviation 61.
        assert!(sampled.iter().all(|count| (4_500..5_500).contains(count)), "{sampled:?}");
        let mut small = Reservoir::new(5);
        (0..3).for_each(|item| small.offer(|| item));
        assert_eq!(small.into_sample(), [0, 1, 2]);
    }
}
