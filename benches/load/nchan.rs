//! nchan, the pub/sub module of nginx, beside this gateway: the same fan-out. It has no broker behind it, only a channel in
//! its own memory, into which the publisher posts what this gateway would have made of a message.
//!
//! Clients of nchan send nothing, so these are the cases without acks.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cases::{self, Case, Kind, RUN, case};
use crate::clients::{self, Source};
use crate::frames;
use crate::process::{SERVERS_CPU, Server, on_cpu};
use crate::servers::{self, Broker, Peer, Target};

const CASES: &[Case] = &[
    case(Kind::Fanout { acks: false }, 1000, 50),
    case(Kind::Fanout { acks: false }, 10_000, 5),
];

/// Debian's package libnginx-mod-nchan.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// A folder of its own, gone with it.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn run() -> bool {
    let version = Command::new("nginx").arg("-v").output();
    if version.is_err() || !Path::new(MODULE).exists() {
        println!(
            "nchan: skipped, it is not installed (Debian: apt-get install libnginx-mod-nchan)"
        );
        return true;
    }
    let folder = std::env::temp_dir().join(format!("pws-fast-nchan-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let folder = Folder(folder);
    let broker = Broker::embedded();
    cases::print_head();
    let mut sound = true;
    for case in CASES {
        let floor = servers::start_floor(*case, RUN);
        let outcome = clients::run(*case, &floor, Source::Itself, RUN);
        let of_floor = outcome.cpu_us_per_message();
        cases::print(*case, Peer::Floor, &outcome, 1.0);
        drop(floor);
        let nchan = start(&folder);
        let outcome = clients::run(*case, &nchan, Source::Posts, RUN);
        cases::print(
            *case,
            Peer::Nchan,
            &outcome,
            outcome.cpu_us_per_message() / of_floor,
        );
        drop(nchan);
        let gateway = servers::start_gateway(&broker, &[]);
        let outcome = clients::run(*case, &gateway, Source::Gateway(&broker), RUN);
        cases::print(
            *case,
            Peer::PwsFast,
            &outcome,
            outcome.cpu_us_per_message() / of_floor,
        );
        sound &= outcome.is_sound();
    }
    sound
}

fn start(folder: &Folder) -> Target {
    let address = servers::free_address();
    let folder = &folder.0;
    let config = folder.join("nginx.conf");
    let text = format!(
        "load_module {MODULE};\n\
         pid {folder}/nginx.pid;\n\
         error_log {folder}/error.log;\n\
         worker_processes 1;\n\
         worker_rlimit_nofile 20000;\n\
         events {{ worker_connections 19000; }}\n\
         http {{\n\
           access_log off;\n\
           client_body_temp_path {folder}/body;\n\
           proxy_temp_path {folder}/proxy;\n\
           fastcgi_temp_path {folder}/fastcgi;\n\
           uwsgi_temp_path {folder}/uwsgi;\n\
           scgi_temp_path {folder}/scgi;\n\
           nchan_shared_memory_size 512M;\n\
           nchan_message_buffer_length 10000;\n\
           server {{\n\
             listen {address} backlog=4096;\n\
             keepalive_requests 100000000;\n\
             location = /sub {{ nchan_subscriber websocket; nchan_channel_id load; }}\n\
             location = /pub {{ nchan_publisher http; nchan_channel_id load; }}\n\
           }}\n\
         }}\n",
        folder = folder.display(),
    );
    fs::write(&config, text).expect("a file");
    let mut command = on_cpu(SERVERS_CPU, "nginx");
    command.arg("-c").arg(&config).args(["-g", "daemon off;"]);
    let mut server = Server::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    servers::await_port(address);
    server.measure_its_child();
    Target::new(Peer::Nchan, server, address)
}

/// One message at a time, paced by the clock and not by the answers.
pub async fn post_at_pace(address: SocketAddr, count: u64, rate: u32) {
    let mut socket = TcpStream::connect(address).await.expect("connected");
    socket.set_nodelay(true).expect("a TCP socket");
    let begin = Instant::now();
    let mut sink = vec![0; 16 * 1024];
    let mut number = 0;
    while number < count {
        let due = begin + Duration::from_nanos(number * 1_000_000_000 / u64::from(rate));
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(due.into()) => {}
            read = socket.read(&mut sink) => {
                assert!(read.is_ok_and(|count| count > 0), "nginx keeps the connection");
                continue;
            }
        }
        let text = frames::delivery_text(number);
        let request = format!(
            "POST /pub HTTP/1.1\r\nHost: bench\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        socket.write_all(request.as_bytes()).await.expect("sent");
        number += 1;
    }
    // The answer to the last one: nothing is cut off.
    let _ = tokio::time::timeout(Duration::from_secs(1), socket.read(&mut sink)).await;
}
