//! `scalebench deploy` against a real sshd: this machine plays a board with a running Linux. Keys, settings and
//! server are the test's own and last as long as it does.

use scalebench_tests::lab::{Guarded, kill, program, said, scalebench, until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
/// This machine as a board that is reached over ssh.
const BOARD: &str = r#"
schema = 1
name = "beside"
title = "This machine, over ssh"
kind = "real"
target = "x86_64-unknown-linux-gnu"

[serial]
baud = 921600
board = "/dev/ttyS0"

[deploy]
methods = ["ssh"]

[[source]]
what = ["target", "serial", "deploy"]
title = "sshd(8), Debian manual pages"
url = "https://manpages.debian.org/sshd"
"#;

/// One deployment at a time: each looks at what all of them leave in /tmp.
static ALONE: Mutex<()> = Mutex::new(());

/// A server on the loopback device, and a folder with all that belongs to it.
struct Server {
    dir: tempfile::TempDir,
    _sshd: Guarded,
    _alone: MutexGuard<'static, ()>,
}

impl Server {
    fn start() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for key in ["host", "user"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(at(key))
                .status()
                .expect("ssh-keygen starts: install openssh-client");
            assert!(made.success());
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let host_key = fs::read_to_string(at("host.pub")).unwrap();
        fs::write(at("known_hosts"), format!("[127.0.0.1]:{port} {host_key}")).unwrap();
        fs::copy(at("user.pub"), at("authorized_keys")).unwrap();
        let path = |name: &str| at(name).display().to_string();
        fs::write(
            at("sshd_config"),
            format!(
                "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
                 StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n",
                path("host"),
                path("authorized_keys"),
            ),
        )
        .unwrap();
        let user = said(Command::new("id").arg("-un")).out;
        fs::write(
            at("ssh_config"),
            format!(
                "Host beside\n    HostName 127.0.0.1\n    Port {port}\n    User {}\n    IdentityFile {}\n    \
                 IdentitiesOnly yes\n    UserKnownHostsFile {}\n    StrictHostKeyChecking yes\n    BatchMode yes\n",
                user.trim(),
                path("user"),
                path("known_hosts"),
            ),
        )
        .unwrap();
        let ssh = at("ssh");
        let script = format!("#!/bin/sh\nexec ssh -F '{}' \"$@\"\n", path("ssh_config"));
        fs::write(&ssh, script).unwrap();
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(at("beside.toml"), BOARD).unwrap();
        // Where sshd gives up its rights.
        let _ = fs::create_dir_all("/run/sshd");
        let log = File::create(at("sshd.log")).unwrap();
        let sshd = Command::new("/usr/sbin/sshd")
            .arg("-D")
            .arg("-e")
            .arg("-f")
            .arg(at("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd starts: install openssh-server");
        let sshd = Guarded(sshd);
        until(PATIENCE, "sshd", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self {
            dir,
            _sshd: sshd,
            _alone: alone,
        }
    }

    /// `scalebench deploy` of a runner and the `choice` of files onto this machine, and the port it names.
    fn deploy(&self, choice: &[&str]) -> (Guarded, PathBuf) {
        let runner = program().with_file_name("scalebench-runner");
        // The copy without symbols goes beside the runner that it is made of.
        let elf = self.dir.path().join("scalebench-runner");
        fs::copy(runner, &elf).expect("the runner is built");
        let mut command = scalebench(&["deploy", "--ssh", "beside", "--channel", "--board"]);
        command
            .arg(self.board_file())
            .arg("--runner")
            .arg(&elf)
            .args(choice)
            .env("SCALEBENCH_SSH", self.dir.path().join("ssh"))
            .stdout(Stdio::piped());
        let mut child: Child = command.spawn().unwrap();
        let said = child.stdout.take().expect("its output is piped");
        let child = Guarded(child);
        let port = BufReader::new(said)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let at = words.iter().position(|word| *word == "--port")?;
                words.get(at + 1).map(PathBuf::from)
            });
        (child, port.expect("deploy names the port"))
    }

    fn board_file(&self) -> PathBuf {
        self.dir.path().join("beside.toml")
    }
}

/// Folders that deployments have on this machine.
fn folders() -> BTreeSet<PathBuf> {
    fs::read_dir("/tmp")
        .expect("/tmp is there")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("scalebench."))
        })
        .collect()
}

fn run(server: &Server, port: &Path, folder: &Path) -> Command {
    let mut command = scalebench(&["run", "--quiet", "--seed", "7", "--board"]);
    command
        .arg(server.board_file())
        .args([
            "--variant",
            "diamonds-mlp/d1-w2",
            "--variant",
            "diamonds-mlp/d2-w4",
        ])
        .arg("--port")
        .arg(port)
        .arg("--output")
        .arg(folder);
    command
}

#[test]
#[ignore = "needs openssh-server: CI runs it"]
fn a_runner_is_copied_started_benched_over_ssh_and_leaves_nothing_behind() {
    let server = Server::start();
    let before = folders();
    let (mut deploy, port) = server.deploy(&["--variant", "diamonds-mlp/d2-w4"]);
    let new: Vec<PathBuf> = folders().difference(&before).cloned().collect();
    assert_eq!(new.len(), 1, "one folder on the board: {new:?}");
    assert!(new[0].join("scalebench-runner").is_file());
    // Two models, their golden vectors, one dataset: what the other variant needs comes over the line.
    let stocked = fs::read_dir(new[0].join("store")).expect("a store");
    assert_eq!(stocked.count(), 5);

    let folder = server.dir.path().join("run");
    let told = said(run(&server, &port, &folder).args(["--then", "power-off"]));
    assert_eq!(told.code, Some(0), "{told:?}");
    let text = fs::read(folder.join("run.json")).expect("run.json is there");
    let file: Value = serde_json::from_slice(&text).unwrap();
    let trials = file["results"]["trials"].as_array().expect("trials");
    assert_eq!(trials.len(), 4);
    for trial in trials {
        assert_eq!(trial["status"]["state"], "done", "{trial}");
    }
    assert_eq!(
        file["plan"]["board"],
        server.board_file().display().to_string()
    );

    // The runner ended as the host asked, and with it ssh and its folder.
    let mut status = None;
    until(PATIENCE, "the deployment's end", || {
        status = deploy.0.try_wait().expect("it can be waited for");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(0));
    until(PATIENCE, "the folder's end", || !new[0].exists());
}

#[test]
#[ignore = "needs openssh-server: CI runs it"]
fn a_connection_that_is_cut_takes_runner_and_folder_along() {
    let server = Server::start();
    let before = folders();
    let (mut deploy, _) = server.deploy(&[]);
    let new: Vec<PathBuf> = folders().difference(&before).cloned().collect();
    assert_eq!(new.len(), 1, "{new:?}");
    // The laptop is gone, without a word.
    kill(child_of(deploy.0.id()));
    let mut status = None;
    until(PATIENCE, "the deployment's end", || {
        status = deploy.0.try_wait().expect("it can be waited for");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(3));
    until(PATIENCE, "the folder's end", || !new[0].exists());
}

/// The process that this one has started.
fn child_of(parent: u32) -> u32 {
    let tasks = format!("/proc/{parent}/task/{parent}/children");
    let children = fs::read_to_string(tasks).expect("the kernel tells a process's children");
    let child = children.split_whitespace().next().expect("a child");
    child.parse().expect("a process number")
}

#[test]
#[ignore = "needs openssh-server: CI runs it"]
fn a_board_whose_key_is_another_than_before_is_not_spoken_to() {
    let server = Server::start();
    let known = server.dir.path().join("known_hosts");
    let text = fs::read_to_string(&known).unwrap();
    let other = fs::read_to_string(server.dir.path().join("user.pub")).unwrap();
    let host = text.split_whitespace().next().expect("an address");
    fs::write(&known, format!("{host} {other}")).unwrap();
    let runner = program().with_file_name("scalebench-runner");
    let elf = server.dir.path().join("scalebench-runner");
    fs::copy(runner, &elf).expect("the runner is built");
    let told = said(
        scalebench(&["deploy", "--ssh", "beside", "--channel", "--board"])
            .arg(server.board_file())
            .arg("--runner")
            .arg(&elf)
            .env("SCALEBENCH_SSH", server.dir.path().join("ssh")),
    );
    assert_eq!(told.code, Some(3), "{told:?}");
    assert!(told.err.contains("reaching it failed"), "{told:?}");
}
