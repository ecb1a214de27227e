//! The timing wheel against a sorted list.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::runtime::timer::{TimerKey, Wheel};

fn fire(wheel: &mut Wheel<u64>, now_ms: u64) -> Vec<u64> {
    let mut fired = Vec::new();
    wheel.advance(now_ms, &mut fired);
    fired
}

#[test]
fn timers_fire_at_their_millisecond_and_not_before() {
    for deadline in [
        1,
        63,
        64,
        65,
        4095,
        4096,
        4097,
        262_144,
        1 << 24,
        (1 << 36) + 5,
        1 << 40,
    ] {
        for start in [0, 1, 63, 64, 5_000, (1 << 36) - 1] {
            let mut wheel = Wheel::new(start);
            wheel.insert(start + deadline, 7);
            assert!(
                fire(&mut wheel, start + deadline - 1).is_empty(),
                "{start} + {deadline}"
            );
            assert_eq!(
                fire(&mut wheel, start + deadline),
                [7],
                "{start} + {deadline}"
            );
            assert!(wheel.is_empty());
            assert_eq!(wheel.next_deadline_ms(), None);
        }
    }
}

#[test]
fn a_deadline_that_has_passed_fires_at_once() {
    let mut wheel = Wheel::new(100);
    wheel.insert(100, 1);
    wheel.insert(3, 2);
    assert_eq!(wheel.next_deadline_ms(), Some(100));
    assert_eq!(fire(&mut wheel, 100), [1, 2]);
}

#[test]
fn the_same_millisecond_fires_in_the_order_of_insertion() {
    let mut wheel = Wheel::new(0);
    for value in 0..10 {
        wheel.insert(5_000, value);
    }
    assert_eq!(fire(&mut wheel, 5_000), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_cancelled_timer_gives_its_value_back_once() {
    let mut wheel = Wheel::new(0);
    let first = wheel.insert(50, 1);
    let second = wheel.insert(50, 2);
    assert_eq!(wheel.cancel(first), Some(1));
    assert_eq!(wheel.cancel(first), None);
    let reused = wheel.insert(60, 3);
    assert_eq!(wheel.cancel(first), None, "a new timer in the old place");
    assert_eq!(fire(&mut wheel, 55), [2]);
    assert_eq!(wheel.cancel(second), None);
    assert_eq!(wheel.cancel(reused), Some(3));
    assert_eq!(wheel.len(), 0);
}

#[test]
fn following_its_own_deadlines_a_far_timer_costs_a_few_calls() {
    let mut wheel = Wheel::new(12_345);
    let deadline = 12_345 + 3 * 24 * 3_600_000 + 77;
    wheel.insert(deadline, 1);
    let mut calls = 0;
    while let Some(next) = wheel.next_deadline_ms() {
        assert!(next <= deadline);
        calls += 1;
        let fired = fire(&mut wheel, next);
        assert_eq!(!fired.is_empty(), next == deadline);
    }
    assert!(calls <= 7, "{calls} calls");
}

#[test]
fn time_that_goes_back_is_ignored() {
    let mut wheel = Wheel::new(1_000);
    wheel.insert(1_500, 1);
    assert!(fire(&mut wheel, 1_400).is_empty());
    assert!(fire(&mut wheel, 10).is_empty());
    assert_eq!(fire(&mut wheel, 1_500), [1]);
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Cancel(usize),
    Advance(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let distance = || prop_oneof![0..100u64, 0..10_000u64, 0..(1u64 << 26), 0..(1u64 << 38)];
    let step = prop_oneof![
        3 => distance().prop_map(Step::Insert),
        1 => any::<usize>().prop_map(Step::Cancel),
        2 => distance().prop_map(Step::Advance),
    ];
    vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 512 }))]

    #[test]
    fn it_fires_exactly_what_a_sorted_list_would(start in 0..(1u64 << 40), steps in steps()) {
        let mut now = start;
        let mut wheel = Wheel::new(now);
        let mut model: Vec<(u64, u64, TimerKey)> = Vec::new();
        for (serial, step) in (0u64..).zip(steps) {
            match step {
                Step::Insert(distance) => {
                    let deadline = (now + distance).saturating_sub(3);
                    model.push((deadline, serial, wheel.insert(deadline, serial)));
                }
                Step::Cancel(which) if !model.is_empty() => {
                    let (_, value, key) = model.remove(which % model.len());
                    prop_assert_eq!(wheel.cancel(key), Some(value));
                }
                Step::Cancel(_) => {}
                Step::Advance(distance) => {
                    now += distance;
                    let mut fired = fire(&mut wheel, now);
                    let mut due: Vec<u64> = model.extract_if(.., |timer| timer.0 <= now).map(|timer| timer.1).collect();
                    fired.sort_unstable();
                    due.sort_unstable();
                    prop_assert_eq!(fired, due);
                }
            }
            prop_assert_eq!(wheel.len(), model.len());
            let earliest = model.iter().map(|timer| timer.0).min();
            prop_assert_eq!(wheel.next_deadline_ms().is_some(), earliest.is_some());
            if let (Some(next), Some(earliest)) = (wheel.next_deadline_ms(), earliest) {
                prop_assert!(next <= earliest.max(now));
            }
        }
    }
}
