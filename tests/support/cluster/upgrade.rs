//! A server whose data have gone into those of a new one.

use super::*;

impl Cluster {
    /// Has `pg_upgrade` carry all databases into the data of a new server, which runs in the place of this one.
    pub fn upgrade(&self) {
        self.stop("fast");
        let [data, old] = ["data", "old"].map(|name| self.directory.join(name));
        fs::rename(&data, &old).unwrap();
        make_data(&self.bin, &self.directory);
        let mut upgrade = as_postgres(self.bin.join("pg_upgrade"));
        upgrade.arg("-b").arg(&self.bin).arg("-B").arg(&self.bin).arg("-d").arg(&old).arg("-D").arg(&data);
        upgrade.args([
            "-U",
            USER,
            "-s",
            &self.socket(),
            "-p",
            &free_port().to_string(),
            "-P",
            &free_port().to_string(),
        ]);
        // It starts no server that has a logical slot otherwise.
        upgrade.args(["-o", "-c wal_level=logical"]).env("PGPASSWORD", PASSWORD).current_dir(&self.directory);
        let output = upgrade.output().unwrap();
        assert!(output.status.success(), "pg_upgrade: {}", String::from_utf8_lossy(&output.stdout));
        self.run();
    }
}
