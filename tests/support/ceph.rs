//! Ceph's S3 gateway over a cluster of one monitor and one disk in memory, from the system's packages.

use crate::process::{Place, free_ports};
use crate::s3::{Host, host};
use std::path::Path;
use std::process::Command;

const FSID: &str = "11111111-2222-3333-4444-555555555555";
const DISK: &str = "22222222-2222-3333-4444-555555555555";

pub fn start(place: &Place) -> Result<Host, String> {
    for program in ["radosgw", "radosgw-admin", "ceph", "ceph-mon", "ceph-osd"] {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .any(|folder| folder.join(program).exists());
        assert!(
            found,
            "{program} is missing: these tests need the packages radosgw, ceph-mon, ceph-osd and ceph-common"
        );
    }
    let port = free_ports(12);
    for folder in ["mon", "osd", "log"] {
        std::fs::create_dir(place.path.join(folder)).map_err(|error| error.to_string())?;
    }
    std::fs::write(place.path.join("ceph.conf"), configuration(&place.path, port))
        .map_err(|error| error.to_string())?;
    std::fs::write(place.path.join("keyring"), "").map_err(|error| error.to_string())?;
    monitor(place, port)?;
    disk(place)?;
    let mut user = ceph("radosgw-admin", place);
    user.args(["-n", "client.rgw", "user", "create", "--uid=admin", "--display-name=admin", "--caps=users=*"]);
    place.run(user.args(["--access-key=admin", "--secret-key=adminsecret"]))?;
    place.start("radosgw", foreground("radosgw", place).args(["-n", "client.rgw", "-f"]));
    Ok(host(port + 1, "admin", "adminsecret"))
}

fn monitor(place: &Place, port: u16) -> Result<(), String> {
    let map = place.path.join("monmap");
    let mut make = limited("monmaptool");
    make.args(["--create", "--clobber", "--fsid", FSID, "--addv", "a", &format!("[v1:127.0.0.1:{port}]")]);
    place.run(make.arg(&map))?;
    place.run(ceph("ceph-mon", place).args(["--mkfs", "-i", "a", "--monmap"]).arg(&map))?;
    place.start("mon", foreground("ceph-mon", place).args(["-i", "a", "-f"]));
    Ok(())
}

fn disk(place: &Place) -> Result<(), String> {
    place.run(ceph("ceph-osd", place).args(["-i", "0", "--mkfs", "--osd-uuid", DISK]))?;
    place.run(ceph("ceph", place).args(["osd", "create", DISK, "0"]))?;
    place.run(ceph("ceph", place).args(["osd", "crush", "add", "osd.0", "1.0", "host=vm", "root=default"]))?;
    place.start("osd", foreground("ceph-osd", place).args(["-i", "0", "-f"]));
    Ok(())
}

/// A command of Ceph's that should end by itself, and otherwise waits for ever.
fn ceph(program: &str, place: &Place) -> Command {
    let mut command = limited(program);
    command.arg("-c").arg(place.path.join("ceph.conf"));
    command
}

fn foreground(program: &str, place: &Place) -> Command {
    let mut command = Command::new(program);
    command.arg("-c").arg(place.path.join("ceph.conf"));
    command
}

fn limited(program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["60", program]);
    command
}

/// Makes the configuration. A disk that asks the monitor for its class and place when it starts sometimes asks before it
/// knows the cluster, and ends: its place is given by `disk`, and a class it needs none.
fn configuration(at: &Path, port: u16) -> String {
    let (at, gateway, first, last) = (at.display(), port + 1, port + 2, port + 11);
    format!(
        "[global]
fsid = {FSID}
mon host = v1:127.0.0.1:{port}
auth cluster required = none
auth service required = none
auth client required = none
auth supported = none
admin socket = {at}/$name.asok
log file = {at}/log/$name.log
pid file = {at}/$name.pid
run dir = {at}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
osd pool default size = 1
osd pool default min size = 1
mon allow pool size one = true
osd pool default pg num = 1
osd pool default pg autoscale mode = off
mon max pg per osd = 1000
osd crush chooseleaf type = 0
ms bind ipv6 = false
ms bind port min = {first}
ms bind port max = {last}
osd objectstore = memstore
memstore device bytes = 2147483648
osd memory target = 939524096
osd class update on start = false
osd crush update on start = false
[mon.a]
mon data = {at}/mon
mon addr = 127.0.0.1:{port}
mon data avail crit = 0
[osd.0]
osd data = {at}/osd
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{gateway}
rgw data = {at}
keyring = /dev/null
rgw thread pool size = 32
"
    )
}
