//! Orders that Java 17's `Collectors.toMap` and `TreeMap` gave.

use std::borrow::Cow;

use crate::api::property_order::{Property, hash_map, tree_map};

fn numbered<'a>(names: &[&'a str]) -> impl Iterator<Item = Property<'a>> {
    let property =
        |(place, name): (usize, &&'a str)| (Cow::Borrowed(*name), Cow::Owned(place.to_string()));
    names
        .iter()
        .enumerate()
        .map(property)
        .collect::<Vec<_>>()
        .into_iter()
}

fn joined(properties: Vec<Property<'_>>) -> String {
    let texts = properties
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    texts.collect::<Vec<_>>().join(" ")
}

#[test]
fn properties_outside_a_batch_come_in_the_order_of_a_java_hash_map() {
    for (names, expected) in [
        (
            &["key-691é", "key-320é", "key-417é", "key-238é"][..],
            "key-691é=0 key-320é=1 key-417é=2 key-238é=3",
        ),
        (
            &["😝＃", "😣／", "😪；", "😽，"],
            "😝＃=0 😪；=2 😽，=3 😣／=1",
        ),
        // Thirteen names fill the first table; a fourteenth, or any name after the thirteenth, makes it grow.
        (
            &[
                "😛Ｈ", "😔Ｋ", "😐Ｄ", "😒（", "😪＆", "😅！", "😳Ｉ", "😢％", "😳５", "😫１",
                "😶７", "😄Ｇ", "😔Ｉ",
            ],
            "😔Ｋ=1 😫１=9 😳Ｉ=6 😒（=3 😔Ｉ=12 😐Ｄ=2 😄Ｇ=11 😢％=7 😳５=8 😶７=10 😛Ｈ=0 😅！=5 😪＆=4",
        ),
        (
            &[
                "😍Ｎ", "😏＞", "😛＃", "😗４", "😝Ｑ", "😢Ｌ", "😣：", "😬Ｐ", "😖Ｊ", "😒＞",
                "😻）", "😵＝", "😺．", "😻；",
            ],
            "😢Ｌ=5 😵＝=11 😛＃=2 😬Ｐ=7 😏＞=1 😻）=10 😒＞=9 😣：=6 😺．=12 😖Ｊ=8 😝Ｑ=4 😍Ｎ=0 😻；=13 😗４=3",
        ),
        (
            &[
                "174", "10", "38", "30", "77", "100", "38", "112", "91", "116", "64", "3", "73",
                "109",
            ],
            "77=4 100=5 112=7 3=11 38=6 116=9 91=8 109=13 73=12 30=3 64=10 174=0 10=1",
        ),
        // Eight in one bucket of a small table make it grow too.
        (
            &["ƀ", "Š", "ƣ", "Ő", "İ", "Ő", "ư", "Đ", "ư", "Ɛ", "Ġ"],
            "Ġ=10 Š=1 ƀ=0 ƣ=2 Ɛ=9 Đ=7 ư=8 İ=4 Ő=5",
        ),
    ] {
        assert_eq!(joined(hash_map(numbered(names))), expected);
    }
}

#[test]
fn properties_of_a_batched_message_are_sorted_by_utf16_units() {
    let names = ["b", "😀", "\u{ff00}", "a", "b", ""];
    assert_eq!(
        joined(tree_map(numbered(&names))),
        "=5 a=3 b=4 😀=1 \u{ff00}=2"
    );
}

#[test]
fn a_hundred_thousand_names_of_one_hash_cost_no_square_of_their_number() {
    let count = if cfg!(miri) { 50 } else { 100_000 };
    let name = |n: u32| {
        (0..17)
            .map(|bit| if n >> bit & 1 == 0 { "Aa" } else { "BB" })
            .collect::<String>()
    };
    let names: Vec<String> = (0..count).map(name).collect();
    let published = names
        .iter()
        .map(|name| (Cow::Borrowed(name.as_str()), Cow::Borrowed("")));
    assert_eq!(hash_map(published).len(), count as usize);
}
