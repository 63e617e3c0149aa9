//! Real SMTP servers, and what they were given.

use serde::Deserialize;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use support::cluster::{PATIENCE, cluster};
use support::process::{Place, free_ports, tool, until};

pub const USER: &str = "pgbk-sender";
pub const PASSWORD: &str = "mail:pass wörd\\1";

pub struct PostOffice {
    place: Place,
    port: u16,
}

#[derive(Debug, Deserialize)]
pub struct Mail {
    pub server: String,
    pub tls: bool,
    pub login: bool,
    pub from: String,
    pub to: Vec<String>,
    /// As it came over the wire.
    pub text: String,
}

impl Mail {
    /// As a person reads it; what is not ASCII stays as it is.
    pub fn body(&self) -> String {
        let (_, body) = self.text.split_once("\r\n\r\n").unwrap();
        body.replace("=\r\n", "").replace("=3D", "=").replace("\r\n", "\n")
    }

    /// A header, its continued lines put together.
    pub fn header(&self, name: &str) -> Option<String> {
        let (head, _) = self.text.split_once("\r\n\r\n").unwrap();
        let head = head.replace("\r\n ", " ");
        let start = format!("{name}: ");
        head.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
    }
}

/// The one of this test process.
pub fn post_office() -> &'static PostOffice {
    static OFFICE: OnceLock<PostOffice> = OnceLock::new();
    OFFICE.get_or_init(PostOffice::open)
}

impl PostOffice {
    fn open() -> PostOffice {
        let place = Place::new("mail");
        let port = free_ports(3);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alert/post_office.py");
        let mut command = Command::new(tool("python"));
        command.arg(script).arg(port.to_string()).args([cluster().tls("server.crt"), cluster().tls("server.key")]);
        place.start("post office", command.args([USER, PASSWORD]).arg(place.path.join("mails")));
        let open = until(PATIENCE, || {
            assert_eq!(place.ended(), None, "{}", place.output());
            (0..3).all(|number| TcpStream::connect(("127.0.0.1", port + number)).is_ok())
        });
        assert!(open, "{}", place.output());
        PostOffice { place, port }
    }

    pub fn plain(&self) -> u16 {
        self.port
    }

    pub fn starttls(&self) -> u16 {
        self.port + 1
    }

    pub fn tls(&self) -> u16 {
        self.port + 2
    }

    /// What this address was sent, oldest first.
    pub fn mails(&self, to: &str) -> Vec<Mail> {
        let text = std::fs::read_to_string(self.place.path.join("mails")).unwrap_or_default();
        let mails = text.lines().map(|line| serde_json::from_str(line).unwrap());
        mails.filter(|mail: &Mail| mail.to.iter().any(|one| one == to)).collect()
    }
}
