//! Whether files have changed since they were last looked at: written, replaced or reached by another link (which is how
//! Kubernetes replaces a mounted secret).

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Where the file lies, and when it was last written. None: it is not there, for now.
type Look = Option<[i64; 6]>;

/// Files that are looked at from time to time.
pub struct Watch {
    paths: Vec<PathBuf>,
    last: Vec<Look>,
}

impl Watch {
    pub fn new<'p>(paths: impl Iterator<Item = &'p PathBuf>) -> Watch {
        let paths: Vec<_> = paths.cloned().collect();
        let last = look(&paths);
        Watch { paths, last }
    }

    /// Whether anything is different from the last look.
    pub fn has_changed(&mut self) -> bool {
        let now = look(&self.paths);
        now != std::mem::replace(&mut self.last, now.clone())
    }
}

fn look(paths: &[PathBuf]) -> Vec<Look> {
    let one = |path: &PathBuf| {
        let found = std::fs::metadata(path).ok()?;
        Some([
            found.ino().cast_signed(),
            found.size().cast_signed(),
            found.mtime(),
            found.mtime_nsec(),
            found.ctime(),
            found.ctime_nsec(),
        ])
    };
    paths.iter().map(one).collect()
}
