//! Instructions of the message path, counted by callgrind: seconds are too noisy on shared machines to see a regression.
//!
//!     cargo bench --bench instructions               counts, and compares with `expected.txt`
//!     cargo bench --bench instructions -- --accept   writes what it counts there
//!
//! Each path runs twice with different numbers of messages; the difference is what a message costs. Needs valgrind. The counts
//! depend on compiler and processor: with others than `expected.txt` names they are shown, and the run counts as skipped.

mod paths;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// More than this above what is expected is a regression, and fails; as much below is told, and passes. The directory that the
/// project is built in is part of what the compiler hashes names from, and so moves its inlining: the same code has counted
/// 343 and 389 for a push in two directories.
const TOLERANCE: f64 = 0.15;

/// Messages in the shorter and in the longer run.
const FEW: u64 = 1_000;
const MANY: u64 = 3_000;

/// Exit status of a step that cannot run here (`tests/run`), after a line that says why.
const SKIP: u8 = 77;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", path, count] => {
            paths::run(path, count.parse().expect("a number"));
            return ExitCode::SUCCESS;
        }
        _ if Command::new("valgrind").arg("--version").output().is_err() => {
            return skipped("valgrind is missing: apt-get install valgrind");
        }
        _ => {}
    }
    let counted: BTreeMap<&str, f64> = paths::NAMES
        .iter()
        .map(|path| (*path, per_message(path)))
        .collect();
    if arguments.iter().any(|argument| argument == "--accept") {
        accept(&counted);
        return ExitCode::SUCCESS;
    }
    compare(&counted)
}

fn skipped(reason: &str) -> ExitCode {
    println!("instructions: skipped: {reason}");
    ExitCode::from(SKIP)
}

fn per_message(path: &str) -> f64 {
    (instructions(path, MANY) - instructions(path, FEW)) as f64 / (MANY - FEW) as f64
}

/// All that a process executes.
fn instructions(path: &str, count: u64) -> u64 {
    let own = std::env::current_exe().expect("this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(own)
        .args(["run", path, &count.to_string()])
        .output()
        .expect("valgrind runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let collected = text
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, number) = collected.unwrap_or_else(|| panic!("no count in {text}"));
    number.trim().parse().expect("a number")
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/expected.txt")
}

fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let output = output.expect("rustc runs").stdout;
    let version = String::from_utf8_lossy(&output).trim().to_owned();
    format!("{version}, {}", processor())
}

/// base64 and others have code of their own for it.
fn processor() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return "x86_64 with AVX2";
    }
    std::env::consts::ARCH
}

fn accept(counted: &BTreeMap<&str, f64>) {
    let mut text = format!("{}\n", compiler());
    for (path, count) in counted {
        text.push_str(&format!("{path} {count:.0}\n"));
    }
    fs::write(file(), &text).expect("written");
    print!("{text}");
}

fn compare(counted: &BTreeMap<&str, f64>) -> ExitCode {
    let text = fs::read_to_string(file()).expect("expected.txt");
    let (expected_compiler, lines) = text.split_once('\n').expect("lines");
    let expected: BTreeMap<&str, f64> = lines
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(path, count)| (path, count.parse().expect("a number")))
        .collect();
    let mut good = expected.keys().copied().eq(counted.keys().copied());
    if !good {
        println!("expected.txt does not name just the paths that are counted: run with --accept");
    }
    for (path, count) in counted {
        good &= match expected.get(path) {
            Some(expected) => judge(path, *count, *expected),
            None => false,
        };
    }
    let compiler = compiler();
    if compiler != expected_compiler {
        return skipped(&format!(
            "counted for {compiler}, expected for {expected_compiler}: not judged"
        ));
    }
    match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Whether a path costs no more than expected.
fn judge(path: &str, count: f64, expected: f64) -> bool {
    let change = count / expected - 1.0;
    let verdict = match change {
        change if change > TOLERANCE => "WORSE",
        change if change < -TOLERANCE => "better: accept it if it is so in other directories",
        _ => "as expected",
    };
    println!(
        "{path:<10} {count:>8.0} instructions a message, {expected:.0} expected ({:+.1} %): {verdict}",
        change * 100.0
    );
    change <= TOLERANCE
}
