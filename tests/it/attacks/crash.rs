//! What a crash leaves behind: no image of the memory, which has keys and tokens in it.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{eventually, topic};

/// Whether a gateway that is killed as by a defect leaves a core dump, where the system lets it.
fn dumps(folder: &Path, setting: &str) -> bool {
    let script = format!(
        "ulimit -c unlimited; cd {} && exec {} --port 0 --set {setting}",
        folder.display(),
        env!("CARGO_BIN_EXE_pws-fast")
    );
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .env_remove("RUST_LOG")
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut log = String::new();
    let mut stderr = child.stderr.take().expect("piped");
    eventually("it listens", || {
        let mut byte = [0];
        let _ = stderr.read(&mut byte);
        log.push(char::from(byte[0]));
        log.ends_with("listening on ws://")
    });
    let pid = child.id().to_string();
    let killed = Command::new("kill").args(["-s", "ABRT", &pid]).status();
    assert!(killed.expect("kill runs").success());
    let status = child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(6));
    status.core_dumped()
}

#[test]
fn a_crash_leaves_no_image_of_the_memory() {
    let folder = std::env::temp_dir().join(topic("core"));
    std::fs::create_dir(&folder).expect("a folder");
    let by_default = dumps(&folder, "coreDumps=false");
    let where_wanted = dumps(&folder, "coreDumps=true");
    std::fs::remove_dir_all(&folder).expect("it is ours");
    assert!(!by_default);
    // Where the system allows none at all, the above says nothing.
    println!("this system lets processes leave core dumps: {where_wanted}");
}
