//! Throw-away S3 hosts, started once per test process, on free loopback ports.

use crate::ceph;
use crate::cluster::PATIENCE;
use crate::process::{Place, built, free_ports, tool, until};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation};
use pgbk::base::secret::Secret;
use pgbk::store::s3::settings::S3Settings;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::runtime::Runtime;

pub struct Server {
    pub name: &'static str,
    pub endpoint: String,
    pub access_key: String,
    pub secret_key: String,
    client: Client,
    runtime: Runtime,
    /// Held for as long as the process lives.
    _place: Place,
}

/// Keys that may write and do nothing else; SeaweedFS only.
pub const WRITER: (&str, &str) = ("writer", "writersecret");

pub fn seaweedfs() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| start("seaweedfs", try_seaweedfs))
}

pub fn moto() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| start("moto", try_moto))
}

pub fn radosgw() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| start("radosgw", ceph::start))
}

/// Only where scripts/prove.sh has built it: that takes minutes.
pub fn minio() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| start("minio", try_minio))
}

/// As `minio`.
pub fn versitygw() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| start("versitygw", try_versitygw))
}

impl Server {
    /// Makes a bucket whose name begins so, and gives its whole name.
    pub fn bucket(&self, name: &str) -> String {
        let name = unique(name);
        let made = self.runtime.block_on(self.client.create_bucket().bucket(&name).send());
        made.unwrap_or_else(|error| panic!("{}: create bucket {name}: {error:?}", self.name));
        name
    }

    /// One that keeps every version of its objects.
    pub fn versioned_bucket(&self, name: &str) -> String {
        use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
        let bucket = self.bucket(name);
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let request = self.client.put_bucket_versioning().bucket(&bucket).versioning_configuration(on);
        self.runtime.block_on(request.send()).expect("versioning");
        bucket
    }

    /// One with Object Lock, and so with versions.
    pub fn locking_bucket(&self, name: &str) -> String {
        let name = unique(name);
        let request = self.client.create_bucket().bucket(&name).object_lock_enabled_for_bucket(true);
        let made = self.runtime.block_on(request.send());
        made.unwrap_or_else(|error| panic!("{}: create bucket {name}: {error:?}", self.name));
        name
    }

    /// Settings for a bucket that exists, with limits that suit a test.
    pub fn settings(&self, bucket: &str) -> S3Settings {
        S3Settings {
            endpoint: Some(self.endpoint.clone()),
            bucket: bucket.to_owned(),
            access_key: Some(self.access_key.clone()),
            secret_key: Some(Secret::new(self.secret_key.clone())),
            timeout: Duration::from_secs(60),
            attempts: 3,
            ..S3Settings::default()
        }
    }

    /// For what a store cannot do, such as making a bucket with versions.
    pub fn client(&self) -> (&Client, &Runtime) {
        (&self.client, &self.runtime)
    }
}

fn unique(name: &str) -> String {
    let mut random = [0; 4];
    openssl::rand::rand_bytes(&mut random).expect("random");
    format!("{name}-{}", hex::encode(random))
}

/// A port may be taken between the search and the start, and Ceph fails one start in five.
fn start(name: &'static str, attempt: fn(&Place) -> Result<Host, String>) -> Server {
    let mut said = String::new();
    for _ in 0..3 {
        let place = Place::new(name);
        match attempt(&place).and_then(|host| ready(name, host, place)) {
            Ok(server) => return server,
            Err(why) => said.push_str(&format!("{why}\n")),
        }
    }
    panic!("{name} does not start:\n{said}");
}

/// Where a server will answer, once it does.
pub struct Host {
    pub endpoint: String,
    pub access_key: String,
    pub secret_key: String,
}

fn ready(name: &'static str, host: Host, place: Place) -> Result<Server, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio");
    let client = Client::from_conf(
        Builder::new()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .credentials_provider(Credentials::new(&host.access_key, &host.secret_key, None, None, "test"))
            .region(Region::new("us-east-1"))
            .endpoint_url(&host.endpoint)
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build(),
    );
    let put = |key| client.put_object().bucket("ready").key(key).body(b"ready".to_vec().into()).send();
    // A server that lists buckets may still be unable to store anything.
    let usable = until(PATIENCE, || {
        place.ended().is_some()
            || runtime.block_on(async {
                client.create_bucket().bucket("ready").send().await.ok();
                put("ready").await.is_ok()
            })
    });
    if !usable || place.ended().is_some() {
        return Err(format!("{name} is not ready: {:?}\n{}", place.ended(), place.output()));
    }
    let Host { endpoint, access_key, secret_key } = host;
    Ok(Server { name, endpoint, access_key, secret_key, client, runtime, _place: place })
}

fn try_seaweedfs(place: &Place) -> Result<Host, String> {
    let port = free_ports(12);
    let config = format!(
        r#"{{"identities": [
            {{"name": "admin", "credentials": [{{"accessKey": "admin", "secretKey": "adminsecret"}}],
              "actions": ["Admin", "Read", "Write", "List", "Tagging"]}},
            {{"name": "{0}", "credentials": [{{"accessKey": "{0}", "secretKey": "{1}"}}], "actions": ["Write"]}}]}}"#,
        WRITER.0, WRITER.1
    );
    let config_file = place.path.join("s3.json");
    std::fs::write(&config_file, config).map_err(|error| error.to_string())?;
    let data = place.path.join("data");
    std::fs::create_dir(&data).map_err(|error| error.to_string())?;
    let mut command = Command::new(tool("weed"));
    command.arg("server").arg(format!("-dir={}", data.display()));
    command.args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-s3.autoCreateBucket=false"]);
    // Else they are left in /tmp.
    for part in ["filer", "s3"] {
        command.arg(format!("-{part}.localSocket={}", place.path.join(format!("{part}.sock")).display()));
    }
    command.args(["-master.volumeSizeLimitMB=1024", "-volume.max=200", "-master.telemetry=false"]);
    command.arg(format!("-s3.config={}", config_file.display())).arg("-s3.iam.readOnly=false");
    command.env("WEED_S3_SSE_KEK", "5e".repeat(32));
    let ports = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"];
    let more = ["s3.port", "s3.port.grpc", "s3.port.iceberg", "s3.port.lance"];
    for (at, name) in (port..).zip(ports.into_iter().chain(more)) {
        command.arg(format!("-{name}={at}"));
    }
    place.start("weed", &mut command);
    Ok(host(port + 6, "admin", "adminsecret"))
}

fn try_moto(place: &Place) -> Result<Host, String> {
    let port = free_ports(1);
    let mut command = Command::new(tool("moto_server"));
    place.start("moto", command.args(["-H", "127.0.0.1", "-p", &port.to_string()]));
    Ok(host(port, "admin", "adminsecret"))
}

fn try_minio(place: &Place) -> Result<Host, String> {
    let port = free_ports(2);
    let mut command = Command::new(built("minio"));
    command.arg("server").arg(place.path.join("data")).args(["--quiet", "--address", &format!("127.0.0.1:{port}")]);
    command.args(["--console-address", &format!("127.0.0.1:{}", port + 1)]);
    command.env("MINIO_ROOT_USER", "admin").env("MINIO_ROOT_PASSWORD", "adminsecret").env("MINIO_BROWSER", "off");
    place.start("minio", &mut command);
    Ok(host(port, "admin", "adminsecret"))
}

fn try_versitygw(place: &Place) -> Result<Host, String> {
    let port = free_ports(1);
    let folders = ["data", "versions", "attributes"].map(|name| place.path.join(name));
    for folder in &folders {
        std::fs::create_dir(folder).map_err(|error| error.to_string())?;
    }
    let [data, versions, attributes] = &folders;
    let mut command = Command::new(built("versitygw"));
    command.args(["--access", "admin", "--secret", "adminsecret", "--region", "us-east-1"]);
    command.args(["--port", &format!("127.0.0.1:{port}"), "posix"]);
    command.arg("--versioning-dir").arg(versions).arg("--sidecar").arg(attributes).arg(data);
    place.start("versitygw", &mut command);
    Ok(host(port, "admin", "adminsecret"))
}

pub fn host(port: u16, access_key: &str, secret_key: &str) -> Host {
    Host {
        endpoint: format!("http://127.0.0.1:{port}"),
        access_key: access_key.to_owned(),
        secret_key: secret_key.to_owned(),
    }
}
