//! Chromium without a window, driven over its own debugging pipe (the Chrome DevTools Protocol, messages of
//! JSON that end in a zero byte). Needs no driver program and opens no port.

use rustix::process::geteuid;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::lab::Guarded;

/// No answer of a page of ours takes longer, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page open.
#[derive(Debug)]
pub struct Browser {
    // Before the folder, so that the browser is gone when its profile is deleted.
    _process: Guarded,
    _profile: tempfile::TempDir,
    to: ChildStdin,
    from: Receiver<Value>,
    asked: u64,
    page: Option<String>,
    heard: Vec<Value>,
}

/// What a page is opened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Pixels of the window, across and down.
    pub size: (u32, u32),
    /// Whether the reader prefers dark pages.
    pub dark: bool,
    /// Whether the page may run scripts.
    pub scripts: bool,
}

impl Browser {
    /// Starts Debian's `chromium`, or the program that `SCALEBENCH_CHROMIUM` names.
    ///
    /// # Panics
    /// When there is none, with the remedy.
    #[must_use]
    pub fn start() -> Self {
        let program = std::env::var("SCALEBENCH_CHROMIUM").unwrap_or("chromium".to_owned());
        let profile = tempfile::tempdir().expect("a folder for the profile");
        // The pipe is file descriptors 3 and 4, which the shell makes of what it is given as 0 and 1.
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh"])
            .arg(program)
            .args([
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-first-run",
            ])
            .args(["--disable-gpu", "--disable-dev-shm-usage"])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .args(["--force-device-scale-factor=1", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if geteuid().is_root() {
            // Its sandbox refuses to work for root; all it opens are this test's own pages.
            command.arg("--no-sandbox");
        }
        let mut process = Guarded(command.spawn().expect("sh starts"));
        let to = process.0.stdin.take().expect("a pipe");
        let out = process.0.stdout.take().expect("a pipe");
        let (sender, from) = channel();
        std::thread::spawn(move || {
            let mut out = BufReader::new(out);
            let mut message = Vec::new();
            while out.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else {
                    return;
                };
                if sender.send(value).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            _process: process,
            _profile: profile,
            to,
            from,
            asked: 0,
            page: None,
            heard: Vec::new(),
        };
        browser.call("Browser.getVersion", json!({}));
        browser
    }

    /// Asks the page or, while none is open, the browser, and waits for the answer.
    ///
    /// # Panics
    /// When the browser is gone, says nothing in time, or refuses.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": parameters });
        if let Some(page) = &self.page {
            message["sessionId"] = json!(page);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).expect(
            "chromium runs: install Debian's `chromium`, or name one in SCALEBENCH_CHROMIUM",
        );
        loop {
            let said = self.next(method);
            if said["id"] == json!(self.asked) {
                assert!(said.get("error").is_none(), "{method}: {}", said["error"]);
                return said["result"].clone();
            }
            self.heard.push(said);
        }
    }

    fn next(&self, what: &str) -> Value {
        self.from.recv_timeout(PATIENCE).unwrap_or_else(|error| {
            panic!("{what}: no answer of chromium ({error}): install Debian's `chromium`, or name one in SCALEBENCH_CHROMIUM")
        })
    }

    /// Opens a file from disk in a page of its own and waits until it is loaded.
    ///
    /// # Panics
    /// As [`Self::call`].
    pub fn open(&mut self, file: &Path, screen: Screen) {
        self.page = None;
        self.heard.clear();
        let target = self.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.call("Target.attachToTarget", attach);
        self.page = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        self.call("Page.bringToFront", json!({}));
        let (width, height) = screen.size;
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        );
        let scheme = if screen.dark { "dark" } else { "light" };
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
        self.call(
            "Emulation.setScriptExecutionDisabled",
            json!({ "value": !screen.scripts }),
        );
        let url = format!("file://{}", file.display());
        self.call("Page.navigate", json!({ "url": url }));
        while !self
            .heard
            .iter()
            .any(|e| e["method"] == "Page.loadEventFired")
        {
            let said = self.next("Page.navigate");
            self.heard.push(said);
        }
    }

    /// The value of an expression of the page's script language.
    ///
    /// # Panics
    /// When it throws, or as [`Self::call`].
    pub fn value(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let said = self.call("Runtime.evaluate", asked);
        let thrown = said.get("exceptionDetails");
        assert!(thrown.is_none(), "{expression}: {thrown:?}");
        said["result"]["value"].clone()
    }

    /// Presses a key and lets it go.
    ///
    /// # Panics
    /// As [`Self::call`].
    pub fn press(&mut self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "keyUp"] {
            let event =
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Moves the mouse to a place in the window.
    ///
    /// # Panics
    /// As [`Self::call`].
    pub fn point_at(&mut self, x: f64, y: f64) {
        let event = json!({ "type": "mouseMoved", "x": x, "y": y });
        self.call("Input.dispatchMouseEvent", event);
    }

    /// A picture of the page from its top, so many pixels high, or all of it; PNG.
    ///
    /// # Panics
    /// As [`Self::call`].
    pub fn picture(&mut self, height: Option<u32>) -> Vec<u8> {
        let size = self.value("[innerWidth, document.documentElement.scrollHeight]");
        let height = height.map_or(size[1].clone(), |height| json!(height));
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": height, "scale": 1 });
        let asked = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let said = self.call("Page.captureScreenshot", asked);
        base64(said["data"].as_str().unwrap_or_default())
    }

    /// What went wrong on the page, and what it asked the network for, its own file left out.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut own = true;
        self.heard
            .iter()
            .filter(|event| match event["method"].as_str() {
                Some("Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded") => {
                    true
                }
                // The first request is for the page itself.
                Some("Network.requestWillBeSent") => !std::mem::take(&mut own),
                _ => false,
            })
            .map(|event| format!("{}: {}", event["method"], event["params"]))
            .collect()
    }
}

/// Bytes of a Base64 text (RFC 4648, section 4), whatever else stands in it left out.
fn base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(base64(text), bytes.as_bytes());
        }
    }
}
