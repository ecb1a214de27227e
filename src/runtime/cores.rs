//! CPU lists as people write them (`0-3,8`), the CPUs that this process may use, and pinning a thread to one.

use std::io;

use core_affinity::CoreId;

/// The kernel's CPU masks, as core_affinity sees them, hold this many.
const CPUS_MAX: usize = 1024;

/// Parses `0-3,8` into `[0, 1, 2, 3, 8]`: sorted, each once.
///
/// # Errors
/// What is wrong with which part, in words for a person.
pub fn parse(list: &str) -> Result<Vec<usize>, String> {
    let mut cores = Vec::new();
    for part in list.split(',').map(str::trim) {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first, part)?, number(last, part)?),
            None => (number(part, part)?, number(part, part)?),
        };
        if first > last {
            return Err(format!("'{part}' counts down: write {last}-{first}"));
        }
        cores.extend(first..=last);
    }
    cores.sort_unstable();
    cores.dedup();
    Ok(cores)
}

fn number(text: &str, part: &str) -> Result<usize, String> {
    match text.trim().parse::<usize>() {
        Ok(core) if core < CPUS_MAX => Ok(core),
        Ok(core) => Err(format!("CPU {core} is over {}", CPUS_MAX - 1)),
        Err(_) => Err(format!(
            "'{part}' is no CPU or range of CPUs; a list looks like 0-3,8"
        )),
    }
}

/// The shortest list that [`parse`] reads back as these cores (sorted, each once).
pub fn format(cores: &[usize]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = cores;
    while let Some(&first) = rest.first() {
        let run = rest
            .iter()
            .zip(first..)
            .take_while(|(core, wanted)| *core == wanted)
            .count();
        let last = first + run - 1;
        parts.push(if run == 1 {
            first.to_string()
        } else {
            format!("{first}-{last}")
        });
        rest = &rest[run..];
    }
    parts.join(",")
}

/// The CPUs that the calling thread may run on (affinity mask, cpuset), sorted.
///
/// # Errors
/// When the kernel does not say.
pub fn allowed() -> io::Result<Vec<usize>> {
    let cores = core_affinity::get_core_ids()
        .filter(|cores| !cores.is_empty())
        .ok_or_else(|| {
            io::Error::other("cannot read which CPUs this process may use (sched_getaffinity)")
        })?;
    Ok(cores.into_iter().map(|core| core.id).collect())
}

/// Checks that every one of `cores` may be used.
///
/// # Errors
/// Names the CPUs that may not, those that may, and the remedy.
pub fn check(cores: &[usize]) -> io::Result<()> {
    let allowed = allowed()?;
    let refused: Vec<usize> = cores
        .iter()
        .copied()
        .filter(|core| !allowed.contains(core))
        .collect();
    if cores.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no CPU is named",
        ));
    }
    if refused.is_empty() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!(
            "this process may not run on CPU {}; it may use {} (widen it with taskset or the container's cpuset)",
            format(&refused),
            format(&allowed),
        ),
    ))
}

/// Pins the calling thread to one CPU, and checks that it took.
///
/// # Errors
/// As [`check`], or when the kernel takes the call and does otherwise.
pub fn pin(core: usize) -> io::Result<()> {
    check(&[core])?;
    let taken = core_affinity::set_for_current(CoreId { id: core });
    if taken && allowed()? == [core] {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "cannot pin a thread to CPU {core} (sched_setaffinity): a container or cgroup holds the CPU set"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_are_sorted_and_unique() {
        assert_eq!(parse("8, 0-3,2").unwrap(), [0, 1, 2, 3, 8]);
        assert_eq!(parse("5").unwrap(), [5]);
        assert_eq!(parse("1-1").unwrap(), [1]);
    }

    #[test]
    fn mistakes_are_named() {
        for (list, says) in [
            ("", "'' is no CPU"),
            ("1,", "'' is no CPU"),
            ("a", "'a' is no CPU"),
            ("1-", "'1-' is no CPU"),
            ("-1", "'-1' is no CPU"),
            ("3-1", "write 1-3"),
            ("0-1024", "CPU 1024 is over 1023"),
            ("99999999999999999999", "is no CPU"),
        ] {
            let error = parse(list).unwrap_err();
            assert!(error.contains(says), "{list}: {error}");
        }
    }

    #[test]
    fn format_is_what_parse_reads() {
        for list in ["0", "0-3,8", "1,3,5-6"] {
            assert_eq!(format(&parse(list).unwrap()), list);
        }
    }

    #[test]
    fn a_cpu_that_we_may_not_use_is_refused_with_the_ones_we_may() {
        let missing = (0..CPUS_MAX)
            .find(|core| !allowed().unwrap().contains(core))
            .unwrap();
        let error = pin(missing).unwrap_err().to_string();
        assert!(error.contains("may use"), "{error}");
        assert!(check(&[]).is_err());
    }

    #[test]
    fn a_pinned_thread_runs_on_its_cpu_alone() {
        let core = *allowed().unwrap().last().unwrap();
        std::thread::spawn(move || {
            pin(core).unwrap();
            assert_eq!(allowed().unwrap(), [core]);
        })
        .join()
        .unwrap();
    }
}
