//! A real browser without a window, driven by chromedriver.

use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use support::cluster::{PATIENCE, free_port, is_root};
use support::process::until;

pub struct Browser {
    driver: Child,
    /// Of the session.
    url: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// With a window as wide as a phone's or a desk's.
    pub fn start(width: u32) -> Browser {
        let driver = Path::new("/usr/bin/chromedriver");
        assert!(driver.exists(), "{} is missing: scripts/test.sh installs it", driver.display());
        let port = free_port();
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new(driver);
        command.arg(format!("--port={port}")).env("HOME", profile.path());
        let driver = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let url = format!("http://127.0.0.1:{port}/session");
        let mut browser = Browser { driver, url, _profile: profile };
        assert!(
            until(PATIENCE, || ureq::get(format!("http://127.0.0.1:{port}/status")).call().is_ok()),
            "no chromedriver"
        );
        let session = browser.ask("", json!({"capabilities": {"alwaysMatch": browser.wishes(width)}}));
        browser.url = format!("{}/{}", browser.url, session["sessionId"].as_str().unwrap());
        // A new window shows a page of the browser's own, whose requests are not ours.
        browser.open("about:blank");
        browser.requests();
        browser.complaints();
        browser
    }

    fn wishes(&self, width: u32) -> Value {
        let mut arguments: Vec<String> = [
            "--headless",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ]
        .map(str::to_owned)
        .into();
        arguments.push(format!("--user-data-dir={}", self._profile.path().join("user").display()));
        if is_root() {
            arguments.push("--no-sandbox".to_owned());
        }
        let screen =
            json!({"deviceMetrics": {"width": width, "height": 900, "pixelRatio": 1.0, "mobile": width < 700}});
        json!({
            "goog:chromeOptions": {"args": arguments, "mobileEmulation": screen},
            "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"},
        })
    }

    fn ask(&self, path: &str, document: Value) -> Value {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let sent =
            agent.post(format!("{}{path}", self.url)).content_type("application/json").send(document.to_string());
        let answer: Value = serde_json::from_str(&sent.unwrap().body_mut().read_to_string().unwrap()).unwrap();
        assert!(answer["value"]["error"].is_null(), "{path}: {answer:#}");
        answer["value"].clone()
    }

    pub fn open(&self, url: &str) {
        self.ask("/url", json!({"url": url}));
    }

    /// `light` or `dark`.
    pub fn prefer(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        let command = json!({"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}});
        self.ask("/goog/cdp/execute", command);
    }

    /// The value of an expression in the page.
    pub fn value(&self, expression: &str) -> Value {
        self.ask("/execute/sync", json!({"script": format!("return {expression}"), "args": []}))
    }

    /// The whole page, as a PNG file.
    pub fn picture(&self, path: &Path) {
        let size = json!({"x": 0, "y": 0, "width": self.value("innerWidth"), "height": self.value("document.documentElement.scrollHeight"), "scale": 1});
        let params = json!({"format": "png", "captureBeyondViewport": true, "clip": size});
        let shot = self.ask("/goog/cdp/execute", json!({"cmd": "Page.captureScreenshot", "params": params}));
        std::fs::write(path, openssl::base64::decode_block(shot["data"].as_str().unwrap()).unwrap()).unwrap();
    }

    /// Whatever was asked for over the network.
    pub fn requests(&self) -> Vec<String> {
        let events = self.ask("/se/log", json!({"type": "performance"}));
        let events = events.as_array().unwrap().iter();
        let messages = events.map(|event| serde_json::from_str::<Value>(event["message"].as_str().unwrap()).unwrap());
        let sent = messages.filter(|event| event["message"]["method"] == "Network.requestWillBeSent");
        sent.map(|event| event["message"]["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }

    /// What the browser complains of, such as something that the page's own policy forbids.
    pub fn complaints(&self) -> Vec<Value> {
        self.ask("/se/log", json!({"type": "browser"})).as_array().unwrap().clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It takes the browser with it.
        ureq::delete(&self.url).call().ok();
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}
