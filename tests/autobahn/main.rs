//! Autobahn's fuzzing client against an echo server made of the rooms `runtime`, `http` and `ws`.
//!
//! `cargo test --test autobahn`. Claim: no case of sections 1 to 10, 12 and 13 fails, and each ends as `expected.json` says.
//! (Sections 8 and 11 do not exist; 12 and 13 are about compression, 216 cases of 1,000 messages each: a few of them stand
//! for the others, unless `PWS_AUTOBAHN_ALL=1` asks for all.) The first run installs the suite, about 20 seconds; a run
//! takes about 40. Without a Python 2.7 it is skipped, aloud.
//! `PWS_AUTOBAHN_WRITE=1` writes what was seen to `expected.json`, to be reviewed as a diff.

mod echo;
mod server;
mod suite;

use std::path::Path;
use std::process::ExitCode;
use std::{fs, io};

use suite::{Outcome, Suite};

const CASES: [&str; 9] = [
    "1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*",
];

const COMPRESSION: [&str; 2] = ["12.*", "13.*"];

/// Of section 12 texts and noise, short and long, whole and in fragments; of 13 each way to negotiate.
const COMPRESSION_FEW: [&str; 13] = [
    "12.1.1", "12.1.4", "12.1.11", "12.2.3", "12.4.5", "12.5.4", "13.1.3", "13.2.3", "13.3.3",
    "13.4.3", "13.5.3", "13.6.3", "13.7.4",
];

const EXPECTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/autobahn/expected.json");

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("autobahn");
    let suite = match Suite::prepare(&folder) {
        Ok(suite) => suite,
        Err(reason) => {
            println!("autobahn: skipped: {reason}");
            return ExitCode::SUCCESS;
        }
    };
    match run(&suite) {
        Ok(wrong) if wrong.is_empty() => ExitCode::SUCCESS,
        Ok(wrong) => {
            println!(
                "autobahn: {} cases are not as expected (reports: {})",
                wrong.len(),
                folder.display()
            );
            wrong.iter().for_each(|line| println!("  {line}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("autobahn: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all cases; gives a line for each that failed or differs from the expectation.
fn run(suite: &Suite) -> io::Result<Vec<String>> {
    let server = server::start()?;
    let compression = match std::env::var_os("PWS_AUTOBAHN_ALL") {
        Some(_) => &COMPRESSION[..],
        None => &COMPRESSION_FEW[..],
    };
    let cases = [&CASES[..], compression].concat();
    let seen = suite.run(server.local_addr().port(), &cases)?;
    println!("autobahn: {} cases run", seen.len());
    if std::env::var_os("PWS_AUTOBAHN_WRITE").is_some() {
        fs::write(EXPECTED, serde_json::to_string_pretty(&seen)? + "\n")?;
    }
    let mut expected: Outcome = serde_json::from_slice(&fs::read(EXPECTED)?)?;
    expected.retain(|case, _| cases.iter().any(|pattern| is_of(case, pattern)));
    Ok(compare(&seen, &expected))
}

fn is_of(case: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(section) => case.starts_with(section),
        None => case == pattern,
    }
}

fn compare(seen: &Outcome, expected: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    for (case, outcome) in seen {
        match expected.get(case) {
            _ if outcome.contains("FAILED") => wrong.push(format!("{case}: {outcome}")),
            Some(expected) if expected == outcome => {}
            Some(expected) => wrong.push(format!("{case}: {outcome}, expected {expected}")),
            None => wrong.push(format!("{case}: {outcome}, not among the expected cases")),
        }
    }
    let missing = expected.keys().filter(|case| !seen.contains_key(*case));
    wrong.extend(missing.map(|case| format!("{case}: not run")));
    wrong
}
