//! Splits a cap by demand.

/// Splits `cap` among workers by their demands; a demand of 0 gets 0.
///
/// No worker gets more than its demand while another has less: the demands are filled evenly. What remains after that
/// is divided equally, so that a burst finds room on any worker. Orders that cannot be divided evenly rotate with
/// `turn`, so that a cap smaller than the pool serves every worker in the end.
#[must_use]
pub fn split(cap: u32, wanted: &[u32], turn: u64) -> Vec<u32> {
    let takes_part = |want: u32| want > 0;
    let mut shares = vec![0; wanted.len()];
    let mut left = fill(cap, wanted, &mut shares, turn);
    if left > 0 {
        let everybody: Vec<u32> =
            wanted.iter().map(|&want| if takes_part(want) { left } else { 0 }).collect();
        let mut more = vec![0; wanted.len()];
        left = fill(left, &everybody, &mut more, turn);
        shares.iter_mut().zip(more).for_each(|(share, more)| *share += more);
    }
    debug_assert!(left == 0 || wanted.iter().all(|&want| want == 0), "all of the cap is given out");
    shares
}

/// Fills `wanted` evenly into `shares`, which are 0. Returns the remainder.
fn fill(amount: u32, wanted: &[u32], shares: &mut [u32], turn: u64) -> u32 {
    let mut by_want: Vec<usize> = (0..wanted.len()).filter(|&place| wanted[place] > 0).collect();
    by_want.sort_by_key(|&place| wanted[place]);
    let mut left = amount;
    let mut unfilled = by_want.as_slice();
    // The smallest demand first: the rest of its even part goes to the others.
    while let Some((&place, others)) = unfilled.split_first() {
        let even = left / u32::try_from(unfilled.len()).unwrap_or(u32::MAX);
        if wanted[place] > even {
            break;
        }
        shares[place] = wanted[place];
        left -= wanted[place];
        unfilled = others;
    }
    if unfilled.is_empty() {
        return left;
    }
    // The others want more than an even part each; in the order of their indexes, not of their demands.
    let mut short = unfilled.to_vec();
    short.sort_unstable();
    let count = short.len();
    let even = left / u32::try_from(count).unwrap_or(u32::MAX);
    let odd = usize::try_from(left).unwrap_or(usize::MAX) % count;
    let first = usize::try_from(turn % count as u64).unwrap_or(0);
    for (index, place) in short.into_iter().enumerate() {
        let is_extra = (index + count - first) % count < odd;
        shares[place] = even + u32::from(is_extra);
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_follow_need() {
        const MUCH: u32 = u32::MAX;
        for (cap, wanted, expected) in [
            (2_000, &[MUCH][..], &[2_000][..]),
            (2_000, &[MUCH, MUCH], &[1_000, 1_000]),
            (2_000, &[MUCH, 1], &[1_999, 1]),
            (2_000, &[MUCH, 1, 500], &[1_499, 1, 500]),
            (2_000, &[1, 1], &[1_000, 1_000]),
            (2_000, &[100, 300], &[900, 1_100]),
            (2_000, &[MUCH, 0], &[2_000, 0]),
            (0, &[MUCH, 5], &[0, 0]),
            (2_000, &[0, 0], &[0, 0]),
            (7, &[MUCH, MUCH, MUCH], &[3, 2, 2]),
            (1, &[MUCH, 1, 1], &[1, 0, 0]),
        ] {
            assert_eq!(split(cap, wanted, 0), expected, "{cap} {wanted:?}");
        }
    }

    proptest! {
        #[test]
        fn all_is_given_out_and_never_more(
            cap in 0_u32..5_000_000, wanted in prop::collection::vec(prop_oneof![Just(0), 1..100_u32, any::<u32>()], 0..40), turn: u64,
        ) {
            let shares = split(cap, &wanted, turn);
            let sum: u64 = shares.iter().map(|&share| u64::from(share)).sum();
            prop_assert_eq!(sum, if wanted.iter().all(|&want| want == 0) { 0 } else { u64::from(cap) });
            for (left, right) in (0..wanted.len()).flat_map(|left| (0..wanted.len()).map(move |right| (left, right))) {
                if wanted[left] == 0 {
                    prop_assert_eq!(shares[left], 0);
                } else if shares[left] < wanted[left] {
                    // A worker below its demand has no less than any other, except for one order.
                    prop_assert!(wanted[right] == 0 || shares[right] <= shares[left] + 1, "{shares:?} {wanted:?}");
                }
            }
        }

        #[test]
        fn a_cap_smaller_than_the_pool_goes_round(cap in 1_u32..8, count in 1_usize..20) {
            let wanted = vec![u32::MAX; count];
            let mut served = vec![false; count];
            for turn in 0..count as u64 {
                for (place, share) in split(cap, &wanted, turn).into_iter().enumerate() {
                    served[place] |= share > 0;
                }
            }
            prop_assert!(served.into_iter().all(|served| served));
        }
    }
}
