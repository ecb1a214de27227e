//! Autobahn's fuzzing client against an echo server made of the rooms `runtime`, `http` and `ws`.
//!
//! `cargo test --test autobahn`. Claim: no case of sections 1 to 10 fails, and each ends as `expected.json` says.
//! (Section 8 does not exist; 12 and 13 are about compression, which is not negotiated.) The first run installs the
//! suite, about 20 seconds; a run takes about 15. Without a Python 2.7 it is skipped, aloud.
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
    let seen = suite.run(server.local_addr().port(), &CASES)?;
    println!("autobahn: {} cases run", seen.len());
    if std::env::var_os("PWS_AUTOBAHN_WRITE").is_some() {
        fs::write(EXPECTED, serde_json::to_string_pretty(&seen)? + "\n")?;
    }
    let expected: Outcome = serde_json::from_slice(&fs::read(EXPECTED)?)?;
    Ok(compare(&seen, &expected))
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
