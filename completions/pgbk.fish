# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_pgbk_global_optspecs
    string join \n log-format= log-level= h/help V/version
end

function __fish_pgbk_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_pgbk_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_pgbk_using_subcommand
    set -l cmd (__fish_pgbk_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c pgbk -n "__fish_pgbk_needs_command" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_needs_command" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_needs_command" -s V -l version -d 'Print version'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "backup" -d 'Dump databases into the store'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "restore" -d 'Restore a backup into a database'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "download" -d 'Write a backup\'s dump to a file, ready for an editor'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "upload" -d 'Make a backup of an existing dump'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "verify" -d 'Prove that stored backups are whole'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "list" -d 'Show what is stored'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "log" -d 'Show the transactions in the stored changes of a database'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "pin" -d 'Keep a backup whatever the rules of retention say'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "unpin" -d 'Let the rules of retention count for a backup again'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "schedule" -d 'Back up whenever it is due, until told to stop'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "history" -d 'Show what ran: done, failed, running'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "status" -d 'Show whether backups go as they are scheduled: exit code 0 if so, else 1'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "capture" -d 'Store the changes of a database as they are made, until told to stop'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "prune" -d 'Remove the backups that no rule keeps'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "doctor" -d 'Check settings, server, tools and store, with a remedy for each finding'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "anonymise" -d 'Show what the rules of anonymising say for each column of a database'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "completions" -d 'Print the completion script for a shell'
complete -c pgbk -n "__fish_pgbk_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l adopt -d 'Go on with the backups that another server made of the same database, after a move or pg_upgrade; =IDENTIFIER where several did' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l note -d 'Words that stand beside it in the list' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l format -d 'The format that pg_dump writes' -r -f -a "plain\t'An SQL script'
custom\t'An archive for `pg_restore`'"
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l globals -d 'Back up roles and tablespaces too, once in each run (pg_dumpall --globals-only)' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l files -d 'Back up these files and folders too, once in each run, with colons between them' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l pg-dump-args -d 'More arguments for pg_dump, split as a shell would' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l jobs -d 'How many connections read tables at a time; 2 when unset, or 1 on one core, and 1 for a database below 64 MiB' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l lock-timeout -d 'How long pg_dump may wait for a locked table; 0 waits for ever' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l stall-timeout -d 'How long pg_dump may write nothing before it is stopped' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l run-timeout -d 'How long the backup of one database may take before it is stopped; no limit when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l time-zone -d 'Time zone of schedules, hours, days, weeks and months; UTC when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l compress -d 'Compression: 0 (none), 1 (xz), xz, zstd or gzip' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l compress-level -d 'Compression level; when unset xz 4, zstd 3, gzip 6' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l size-estimate -d 'Size of the dump to plan for, such as 500G, where the server\'s figure is too small' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l host -d 'Host name, address or socket directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l port -d 'Port; 5432 when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l user -d 'User name' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l pg-bin-dir -d 'Look for pg_dump and pg_restore here only' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l store-dir -d 'Keep backups in this directory, unless an S3 bucket is set' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l max-object-size -d 'Largest object that the store takes, 8M or more: a larger payload becomes several objects. When unset 5T on S3, and no limit in a directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-host-base -d 'Host of the S3 service (https), or its URL; AWS when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-region -d 'Region of the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-bucket -d 'Keep backups in this S3 bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-folder -d 'Folder in the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-object-name -d 'Keep every backup as a new version of objects of this name, in a bucket that keeps versions' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-addressing -d 'Where the bucket stands in addresses: in the path, or before the host\'s name; found out when unset' -r -f -a "path\t''
virtual\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-ca-file -d 'Certificates (PEM) to trust beside the system\'s' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-request-headers -d 'Headers for the requests that create objects: key:value pairs split at a backslash' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-storage-class -d 'Storage class of the payloads, such as STANDARD_IA; a .meta stays in the bucket\'s usual one' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-sse -d 'Ask the host to encrypt what it stores' -r -f -a "AES256\t''
aws:kms\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-sse-kms-key-id -d 'The key for aws:kms; when unset the bucket\'s' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-object-lock-mode -d 'Lock every backup against deletion (Object Lock)' -r -f -a "GOVERNANCE\t''
COMPLIANCE\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-object-lock-days -d 'For so many days' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-md5-required -d 'Send Content-MD5 even where DB_BACKUP_VERIFY is 0' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-part-size -d 'Size of a part; computed from the size of the dump when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-parts-in-flight -d 'Parts being sent at the same time' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-part-limit -d 'The most parts that the host allows in one upload' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-timeout -d 'Limit of one request with all its retries' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l s3-attempts -d 'How often a request is tried' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l no-encrypt -d 'Keys decrypt and seal, but new backups are not encrypted' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l check -d 'Check what was stored; a restore always checks' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l outputs -d 'The backups that a run makes of one snapshot, with commas between them; the list must name plain' -r -f -a "plain\t'The database as it is, in the format of DUMP_FORMAT'
custom\t'The database as it is, as an archive for pg_restore'
anonymised\t'The database with its values changed as the rules of anonymising say'"
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l anon-store-dir -d 'Keep anonymised backups in this directory; beside the others when unset' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l anon-s3-folder -d 'Keep anonymised backups in this folder of the bucket; beside the others when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l rules -d 'The file (TOML) that says what becomes of each column' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l keep-last -d 'Keep the newest N backups' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l max-full-backups -d 'Another name for KEEP_LAST, which wins' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l keep-hourly -d 'Keep the newest backup of each of the last N hours that have one' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l keep-daily -d 'Keep the newest of each of N days' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l keep-weekly -d 'Keep the newest of each of N ISO weeks' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l keep-monthly -d 'Keep the newest of each of N months' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l keep-yearly -d 'Keep the newest of each of N years' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l keep-within -d 'Keep what is not older than that, counted from the newest backup, such as 12h, 7d, 3mo' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l keep-capture -d 'Keep the bases by which every moment of so much time can be restored from captured changes, counted from the newest base, such as 7d' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l keep-minimum -d 'Keep N in any case, where the rules above keep fewer' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l lifecycle-tags -d 'Tag the newest backups lifecycle=monthly, weekly or hourly, for the host\'s own rules' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l state-dir -d 'Where pgbk remembers runs, the newest 1000, and keys derived from a password; when unset /var/lib/pgbk if it can be written to, else ~/.local/state/pgbk' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l smtp-host -d 'Send mail through this server' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l smtp-port -d 'Port of the mail server; when unset 587, for tls 465, for none 25' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l smtp-security -d 'How mail is protected on its way to the server; starttls when unset, on port 465 tls' -r -f -a "starttls\t''
tls\t''
none\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l smtp-user -d 'Log in to the mail server as this user' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l smtp-enabled -d 'Whether mail is sent' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l mail-to -d 'Recipients of mail, with commas between them' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l mail-from -d 'Sender of mail; SMTP_USER when unset and an address' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l mail-subject-prefix -d 'Put this before every subject' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l alert-ca-file -d 'Certificates (PEM) to trust beside the system\'s, for mail and webhooks' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l alert-timeout -d 'How long the end of a run waits for alerts to be delivered' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l alert -d 'Tell people and monitors of this run, though a person at a terminal starts it'
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l json -d 'One JSON document on stdout'
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -l allow-unauthenticated -d 'Accept backups that no key has sealed although a key is set'
complete -c pgbk -n "__fish_pgbk_using_subcommand backup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l object -d 'Restore what Doubletake wrote under this key below S3_FOLDER, such as backup.sql.xz.enc, which nobody sealed' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l from -d 'The server to restore with --all, by its system identifier, where several servers have backups here' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l database -d 'Database that "latest" and the list are about' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l origin -d 'The backups that "latest" is chosen among' -r -f -a "backup\t'Those that were taken from a server'
upload\t'Those that were made of a file'
any\t'All of them, whichever is the newest by its date'"
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l to -d 'Restore into this database, created when missing; when unset, the backup\'s own' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l at -d 'Restore to this moment: a base and the changes that were stored since then, into a new database; with --table the tables alone, also beside what a database holds. A time has its offset, such as 2026-08-22T03:15:00Z; "pgbk log" shows times and positions' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l journal -d 'Restore by a journal that a capture wrote or mailed: a file with it, or - for stdin; the latest state comes back, or that of --at' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l into -d 'The folder to put files below with --files, made when missing' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l exclude-extension -d 'Do not make this extension, and leave out what belongs to it; may be said more than once' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l search-path -d 'Look for names in these schemas, for functions and operators that the dump does not qualify: public,ext' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l table -d 'Only the tables, views and sequences that match this pattern, schema.name or name as pg_dump has it, with what belongs to them and what they need, beside whatever else the target holds; may be said more than once' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l schema -d 'Only the tables in schemas that match this pattern; may be said more than once' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l exclude-table -d 'Not the tables that match this pattern' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l exclude-table-data -d 'Not the rows of the tables that match this pattern' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l jobs -d 'How many connections load into a new or empty database; 2 when unset, or 1 on one core, and 1 for a small one or an archive' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l host -d 'Host name, address or socket directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l port -d 'Port; 5432 when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l user -d 'User name' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l pg-bin-dir -d 'Look for pg_dump and pg_restore here only' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l variant -d 'The output that is meant, as OUTPUTS names them; when unset the one of the id, and plain for "latest"' -r -f -a "plain\t'The database as it is, in the format of DUMP_FORMAT'
custom\t'The database as it is, as an archive for pg_restore'
anonymised\t'The database with its values changed as the rules of anonymising say'"
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l anon-store-dir -d 'Keep anonymised backups in this directory; beside the others when unset' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l anon-s3-folder -d 'Keep anonymised backups in this folder of the bucket; beside the others when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l store-dir -d 'Keep backups in this directory, unless an S3 bucket is set' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l max-object-size -d 'Largest object that the store takes, 8M or more: a larger payload becomes several objects. When unset 5T on S3, and no limit in a directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-host-base -d 'Host of the S3 service (https), or its URL; AWS when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-region -d 'Region of the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-bucket -d 'Keep backups in this S3 bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-folder -d 'Folder in the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-object-name -d 'Keep every backup as a new version of objects of this name, in a bucket that keeps versions' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-addressing -d 'Where the bucket stands in addresses: in the path, or before the host\'s name; found out when unset' -r -f -a "path\t''
virtual\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-ca-file -d 'Certificates (PEM) to trust beside the system\'s' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-request-headers -d 'Headers for the requests that create objects: key:value pairs split at a backslash' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-storage-class -d 'Storage class of the payloads, such as STANDARD_IA; a .meta stays in the bucket\'s usual one' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-sse -d 'Ask the host to encrypt what it stores' -r -f -a "AES256\t''
aws:kms\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-sse-kms-key-id -d 'The key for aws:kms; when unset the bucket\'s' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-object-lock-mode -d 'Lock every backup against deletion (Object Lock)' -r -f -a "GOVERNANCE\t''
COMPLIANCE\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-object-lock-days -d 'For so many days' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-md5-required -d 'Send Content-MD5 even where DB_BACKUP_VERIFY is 0' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-part-size -d 'Size of a part; computed from the size of the dump when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-parts-in-flight -d 'Parts being sent at the same time' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-part-limit -d 'The most parts that the host allows in one upload' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-timeout -d 'Limit of one request with all its retries' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l s3-attempts -d 'How often a request is tried' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l no-encrypt -d 'Keys decrypt and seal, but new backups are not encrypted' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l check -d 'Check what was stored; a restore always checks' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l state-dir -d 'Where pgbk remembers runs, the newest 1000, and keys derived from a password; when unset /var/lib/pgbk if it can be written to, else ~/.local/state/pgbk' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l all -d 'Restore a whole server: roles and tablespaces where there is a backup of them, then the newest backup of every database, or of those that --database names'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l files -d 'Restore files that BACKUP_FILES named, to where they came from'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -s y -l yes -d 'Ask nothing'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l clean -d 'Empty the target first, in the same transaction'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l over-source -d 'Confirm, with --clean, that the target is the database that the backup was taken from'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l no-owner -d 'Leave out ownership'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l no-privileges -d 'Leave out GRANT and REVOKE'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l no-properties -d 'Leave out what belongs to the database itself: its owner, privileges, settings, comment and limits'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l any-locale -d 'Make the database with the server\'s locale where the source\'s is not installed'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l skip-failed -d 'Leave out each statement, and the rows of each table, that the server refuses, name them, and exit with 1; all else is restored'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l no-comments -d 'Leave out COMMENT ON'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l no-tablespaces -d 'Leave out in which tablespaces tables and indexes lie'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l data-only -d 'Only the rows of the tables, into tables that are there'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l schema-only -d 'Everything but the rows, also of a whole backup'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l single-transaction -d 'Load by one connection, in one transaction'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l dry-run -d 'Show what would be done, and do nothing'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l json -d 'One JSON document on stdout'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -l allow-unauthenticated -d 'Accept backups that no key has sealed although a key is set'
complete -c pgbk -n "__fish_pgbk_using_subcommand restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l object -d 'The key below S3_FOLDER of a backup that Doubletake wrote, such as backup.sql.xz.enc, which nobody sealed' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l database -d 'Database that "latest" is about' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l origin -d 'The backups that "latest" is chosen among' -r -f -a "backup\t'Those that were taken from a server'
upload\t'Those that were made of a file'
any\t'All of them, whichever is the newest by its date'"
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -s o -l output -d 'File, folder (with --raw), or - for stdout; when unset, the id with .sql or .dump' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l table -d 'Only the rows of the tables that match this pattern, schema.name or name as pg_dump has it; several times for several patterns' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l host -d 'Host name, address or socket directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l port -d 'Port; 5432 when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l user -d 'User name' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l pg-bin-dir -d 'Look for pg_dump and pg_restore here only' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l variant -d 'The output that is meant, as OUTPUTS names them; when unset the one of the id, and plain for "latest"' -r -f -a "plain\t'The database as it is, in the format of DUMP_FORMAT'
custom\t'The database as it is, as an archive for pg_restore'
anonymised\t'The database with its values changed as the rules of anonymising say'"
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l anon-store-dir -d 'Keep anonymised backups in this directory; beside the others when unset' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l anon-s3-folder -d 'Keep anonymised backups in this folder of the bucket; beside the others when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l store-dir -d 'Keep backups in this directory, unless an S3 bucket is set' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l max-object-size -d 'Largest object that the store takes, 8M or more: a larger payload becomes several objects. When unset 5T on S3, and no limit in a directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-host-base -d 'Host of the S3 service (https), or its URL; AWS when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-region -d 'Region of the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-bucket -d 'Keep backups in this S3 bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-folder -d 'Folder in the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-object-name -d 'Keep every backup as a new version of objects of this name, in a bucket that keeps versions' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-addressing -d 'Where the bucket stands in addresses: in the path, or before the host\'s name; found out when unset' -r -f -a "path\t''
virtual\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-ca-file -d 'Certificates (PEM) to trust beside the system\'s' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-request-headers -d 'Headers for the requests that create objects: key:value pairs split at a backslash' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-storage-class -d 'Storage class of the payloads, such as STANDARD_IA; a .meta stays in the bucket\'s usual one' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-sse -d 'Ask the host to encrypt what it stores' -r -f -a "AES256\t''
aws:kms\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-sse-kms-key-id -d 'The key for aws:kms; when unset the bucket\'s' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-object-lock-mode -d 'Lock every backup against deletion (Object Lock)' -r -f -a "GOVERNANCE\t''
COMPLIANCE\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-object-lock-days -d 'For so many days' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-md5-required -d 'Send Content-MD5 even where DB_BACKUP_VERIFY is 0' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-part-size -d 'Size of a part; computed from the size of the dump when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-parts-in-flight -d 'Parts being sent at the same time' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-part-limit -d 'The most parts that the host allows in one upload' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-timeout -d 'Limit of one request with all its retries' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l s3-attempts -d 'How often a request is tried' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l no-encrypt -d 'Keys decrypt and seal, but new backups are not encrypted' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l check -d 'Check what was stored; a restore always checks' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l state-dir -d 'Where pgbk remembers runs, the newest 1000, and keys derived from a password; when unset /var/lib/pgbk if it can be written to, else ~/.local/state/pgbk' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l raw -d 'The stored bytes and the .meta, unchanged'
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l csv -d 'The rows as CSV with a line of names, instead of SQL; of one table'
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l force -d 'Replace an existing file'
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -l allow-unauthenticated -d 'Accept backups that no key has sealed although a key is set'
complete -c pgbk -n "__fish_pgbk_using_subcommand download" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l database -d 'Database that the dump is of' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l note -d 'Words that stand beside it in the list' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l compress -d 'Compression: 0 (none), 1 (xz), xz, zstd or gzip' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l compress-level -d 'Compression level; when unset xz 4, zstd 3, gzip 6' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l size-estimate -d 'Size of the dump to plan for, such as 500G, where the server\'s figure is too small' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l store-dir -d 'Keep backups in this directory, unless an S3 bucket is set' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l max-object-size -d 'Largest object that the store takes, 8M or more: a larger payload becomes several objects. When unset 5T on S3, and no limit in a directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-host-base -d 'Host of the S3 service (https), or its URL; AWS when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-region -d 'Region of the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-bucket -d 'Keep backups in this S3 bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-folder -d 'Folder in the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-object-name -d 'Keep every backup as a new version of objects of this name, in a bucket that keeps versions' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-addressing -d 'Where the bucket stands in addresses: in the path, or before the host\'s name; found out when unset' -r -f -a "path\t''
virtual\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-ca-file -d 'Certificates (PEM) to trust beside the system\'s' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-request-headers -d 'Headers for the requests that create objects: key:value pairs split at a backslash' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-storage-class -d 'Storage class of the payloads, such as STANDARD_IA; a .meta stays in the bucket\'s usual one' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-sse -d 'Ask the host to encrypt what it stores' -r -f -a "AES256\t''
aws:kms\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-sse-kms-key-id -d 'The key for aws:kms; when unset the bucket\'s' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-object-lock-mode -d 'Lock every backup against deletion (Object Lock)' -r -f -a "GOVERNANCE\t''
COMPLIANCE\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-object-lock-days -d 'For so many days' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-md5-required -d 'Send Content-MD5 even where DB_BACKUP_VERIFY is 0' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-part-size -d 'Size of a part; computed from the size of the dump when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-parts-in-flight -d 'Parts being sent at the same time' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-part-limit -d 'The most parts that the host allows in one upload' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-timeout -d 'Limit of one request with all its retries' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l s3-attempts -d 'How often a request is tried' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l no-encrypt -d 'Keys decrypt and seal, but new backups are not encrypted' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l check -d 'Check what was stored; a restore always checks' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l state-dir -d 'Where pgbk remembers runs, the newest 1000, and keys derived from a password; when unset /var/lib/pgbk if it can be written to, else ~/.local/state/pgbk' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l raw -d 'FILE is a stored payload or .meta, written by "download --raw"'
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l allow-incomplete -d 'Accept a dump that seems to be cut short'
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l json -d 'One JSON document on stdout'
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -l allow-unauthenticated -d 'Accept backups that no key has sealed although a key is set'
complete -c pgbk -n "__fish_pgbk_using_subcommand upload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l object -d 'The key below S3_FOLDER of a backup that Doubletake wrote, such as backup.sql.xz.enc; it is always read whole' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l level -d 'How deep to look' -r -f -a "meta\t'The .meta is authentic and the payload is there in its full size'
stored\t'Every stored byte is read and compared'
content\t'Decrypted and decompressed to the end: the dump\'s hash, its tables and its trailer'
restore\t'Restored into a scratch database, where every table\'s rows are compared; the scratch is dropped'"
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l database -d 'Database that "latest", --all and --changes are about' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l origin -d 'The backups that "latest" is chosen among' -r -f -a "backup\t'Those that were taken from a server'
upload\t'Those that were made of a file'
any\t'All of them, whichever is the newest by its date'"
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l scratch -d 'Where --level restore makes its scratch database: on the server (another one with --scratch-host), or on one that pgbk starts itself' -r -f -a "server\t'On the server that is backed up, or that of --scratch-host'
cluster\t'On a server of its own, in a private temporary folder (TMPDIR): needs PostgreSQL\'s server programs'"
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l scratch-host -d 'Host of another server for it; its password is in VERIFY_DB_PASSWORD' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l scratch-port -d 'Port of that server; 5432 when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l scratch-user -d 'User name on that server; when unset as on the server that is backed up' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l host -d 'Host name, address or socket directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l port -d 'Port; 5432 when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l user -d 'User name' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l pg-bin-dir -d 'Look for pg_dump and pg_restore here only' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l variant -d 'The output that is meant, as OUTPUTS names them; when unset the one of the id, and plain for "latest"' -r -f -a "plain\t'The database as it is, in the format of DUMP_FORMAT'
custom\t'The database as it is, as an archive for pg_restore'
anonymised\t'The database with its values changed as the rules of anonymising say'"
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l anon-store-dir -d 'Keep anonymised backups in this directory; beside the others when unset' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l anon-s3-folder -d 'Keep anonymised backups in this folder of the bucket; beside the others when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l store-dir -d 'Keep backups in this directory, unless an S3 bucket is set' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l max-object-size -d 'Largest object that the store takes, 8M or more: a larger payload becomes several objects. When unset 5T on S3, and no limit in a directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-host-base -d 'Host of the S3 service (https), or its URL; AWS when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-region -d 'Region of the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-bucket -d 'Keep backups in this S3 bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-folder -d 'Folder in the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-object-name -d 'Keep every backup as a new version of objects of this name, in a bucket that keeps versions' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-addressing -d 'Where the bucket stands in addresses: in the path, or before the host\'s name; found out when unset' -r -f -a "path\t''
virtual\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-ca-file -d 'Certificates (PEM) to trust beside the system\'s' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-request-headers -d 'Headers for the requests that create objects: key:value pairs split at a backslash' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-storage-class -d 'Storage class of the payloads, such as STANDARD_IA; a .meta stays in the bucket\'s usual one' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-sse -d 'Ask the host to encrypt what it stores' -r -f -a "AES256\t''
aws:kms\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-sse-kms-key-id -d 'The key for aws:kms; when unset the bucket\'s' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-object-lock-mode -d 'Lock every backup against deletion (Object Lock)' -r -f -a "GOVERNANCE\t''
COMPLIANCE\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-object-lock-days -d 'For so many days' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-md5-required -d 'Send Content-MD5 even where DB_BACKUP_VERIFY is 0' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-part-size -d 'Size of a part; computed from the size of the dump when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-parts-in-flight -d 'Parts being sent at the same time' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-part-limit -d 'The most parts that the host allows in one upload' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-timeout -d 'Limit of one request with all its retries' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l s3-attempts -d 'How often a request is tried' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l no-encrypt -d 'Keys decrypt and seal, but new backups are not encrypted' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l check -d 'Check what was stored; a restore always checks' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l state-dir -d 'Where pgbk remembers runs, the newest 1000, and keys derived from a password; when unset /var/lib/pgbk if it can be written to, else ~/.local/state/pgbk' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l smtp-host -d 'Send mail through this server' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l smtp-port -d 'Port of the mail server; when unset 587, for tls 465, for none 25' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l smtp-security -d 'How mail is protected on its way to the server; starttls when unset, on port 465 tls' -r -f -a "starttls\t''
tls\t''
none\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l smtp-user -d 'Log in to the mail server as this user' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l smtp-enabled -d 'Whether mail is sent' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l mail-to -d 'Recipients of mail, with commas between them' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l mail-from -d 'Sender of mail; SMTP_USER when unset and an address' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l mail-subject-prefix -d 'Put this before every subject' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l alert-ca-file -d 'Certificates (PEM) to trust beside the system\'s, for mail and webhooks' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l alert-timeout -d 'How long the end of a run waits for alerts to be delivered' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l all -d 'Every backup, or every one of --database; DB_NAME does not limit it'
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l changes -d 'The changes of a database that pgbk capture has stored, from the oldest base on, instead of backups. With --level restore the newest base is compared with the base before it and the changes between them'
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l alert -d 'Tell people and monitors of this run, though a person at a terminal starts it'
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l json -d 'One JSON document on stdout'
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -l allow-unauthenticated -d 'Accept backups that no key has sealed although a key is set'
complete -c pgbk -n "__fish_pgbk_using_subcommand verify" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l database -d 'Only this database\'s' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l variant -d 'The output that is meant, as OUTPUTS names them; when unset the one of the id, and plain for "latest"' -r -f -a "plain\t'The database as it is, in the format of DUMP_FORMAT'
custom\t'The database as it is, as an archive for pg_restore'
anonymised\t'The database with its values changed as the rules of anonymising say'"
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l anon-store-dir -d 'Keep anonymised backups in this directory; beside the others when unset' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l anon-s3-folder -d 'Keep anonymised backups in this folder of the bucket; beside the others when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l store-dir -d 'Keep backups in this directory, unless an S3 bucket is set' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l max-object-size -d 'Largest object that the store takes, 8M or more: a larger payload becomes several objects. When unset 5T on S3, and no limit in a directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-host-base -d 'Host of the S3 service (https), or its URL; AWS when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-region -d 'Region of the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-bucket -d 'Keep backups in this S3 bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-folder -d 'Folder in the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-object-name -d 'Keep every backup as a new version of objects of this name, in a bucket that keeps versions' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-addressing -d 'Where the bucket stands in addresses: in the path, or before the host\'s name; found out when unset' -r -f -a "path\t''
virtual\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-ca-file -d 'Certificates (PEM) to trust beside the system\'s' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-request-headers -d 'Headers for the requests that create objects: key:value pairs split at a backslash' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-storage-class -d 'Storage class of the payloads, such as STANDARD_IA; a .meta stays in the bucket\'s usual one' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-sse -d 'Ask the host to encrypt what it stores' -r -f -a "AES256\t''
aws:kms\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-sse-kms-key-id -d 'The key for aws:kms; when unset the bucket\'s' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-object-lock-mode -d 'Lock every backup against deletion (Object Lock)' -r -f -a "GOVERNANCE\t''
COMPLIANCE\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-object-lock-days -d 'For so many days' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-md5-required -d 'Send Content-MD5 even where DB_BACKUP_VERIFY is 0' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-part-size -d 'Size of a part; computed from the size of the dump when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-parts-in-flight -d 'Parts being sent at the same time' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-part-limit -d 'The most parts that the host allows in one upload' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-timeout -d 'Limit of one request with all its retries' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l s3-attempts -d 'How often a request is tried' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l state-dir -d 'Where pgbk remembers runs, the newest 1000, and keys derived from a password; when unset /var/lib/pgbk if it can be written to, else ~/.local/state/pgbk' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -l json -d 'One JSON document on stdout, oldest first'
complete -c pgbk -n "__fish_pgbk_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l database -d 'Database whose stored changes are shown' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l table -d 'Only transactions that change tables which match this pattern, schema.name or name as pg_dump has it; several times for several patterns' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l since -d 'Only transactions that committed at this time or later, such as 2026-08-22T03:15:00Z' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l until -d 'Only transactions that committed at this time or before' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l limit -d 'The number of transactions to show, the last ones' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l store-dir -d 'Keep backups in this directory, unless an S3 bucket is set' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l max-object-size -d 'Largest object that the store takes, 8M or more: a larger payload becomes several objects. When unset 5T on S3, and no limit in a directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-host-base -d 'Host of the S3 service (https), or its URL; AWS when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-region -d 'Region of the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-bucket -d 'Keep backups in this S3 bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-folder -d 'Folder in the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-object-name -d 'Keep every backup as a new version of objects of this name, in a bucket that keeps versions' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-addressing -d 'Where the bucket stands in addresses: in the path, or before the host\'s name; found out when unset' -r -f -a "path\t''
virtual\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-ca-file -d 'Certificates (PEM) to trust beside the system\'s' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-request-headers -d 'Headers for the requests that create objects: key:value pairs split at a backslash' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-storage-class -d 'Storage class of the payloads, such as STANDARD_IA; a .meta stays in the bucket\'s usual one' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-sse -d 'Ask the host to encrypt what it stores' -r -f -a "AES256\t''
aws:kms\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-sse-kms-key-id -d 'The key for aws:kms; when unset the bucket\'s' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-object-lock-mode -d 'Lock every backup against deletion (Object Lock)' -r -f -a "GOVERNANCE\t''
COMPLIANCE\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-object-lock-days -d 'For so many days' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-md5-required -d 'Send Content-MD5 even where DB_BACKUP_VERIFY is 0' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-part-size -d 'Size of a part; computed from the size of the dump when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-parts-in-flight -d 'Parts being sent at the same time' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-part-limit -d 'The most parts that the host allows in one upload' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-timeout -d 'Limit of one request with all its retries' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l s3-attempts -d 'How often a request is tried' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l no-encrypt -d 'Keys decrypt and seal, but new backups are not encrypted' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l check -d 'Check what was stored; a restore always checks' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l state-dir -d 'Where pgbk remembers runs, the newest 1000, and keys derived from a password; when unset /var/lib/pgbk if it can be written to, else ~/.local/state/pgbk' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l json -d 'One JSON document on stdout, the oldest transaction first'
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -l allow-unauthenticated -d 'Accept backups that no key has sealed although a key is set'
complete -c pgbk -n "__fish_pgbk_using_subcommand log" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l variant -d 'The output that is meant, as OUTPUTS names them; when unset the one of the id, and plain for "latest"' -r -f -a "plain\t'The database as it is, in the format of DUMP_FORMAT'
custom\t'The database as it is, as an archive for pg_restore'
anonymised\t'The database with its values changed as the rules of anonymising say'"
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l anon-store-dir -d 'Keep anonymised backups in this directory; beside the others when unset' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l anon-s3-folder -d 'Keep anonymised backups in this folder of the bucket; beside the others when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l store-dir -d 'Keep backups in this directory, unless an S3 bucket is set' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l max-object-size -d 'Largest object that the store takes, 8M or more: a larger payload becomes several objects. When unset 5T on S3, and no limit in a directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-host-base -d 'Host of the S3 service (https), or its URL; AWS when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-region -d 'Region of the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-bucket -d 'Keep backups in this S3 bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-folder -d 'Folder in the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-object-name -d 'Keep every backup as a new version of objects of this name, in a bucket that keeps versions' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-addressing -d 'Where the bucket stands in addresses: in the path, or before the host\'s name; found out when unset' -r -f -a "path\t''
virtual\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-ca-file -d 'Certificates (PEM) to trust beside the system\'s' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-request-headers -d 'Headers for the requests that create objects: key:value pairs split at a backslash' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-storage-class -d 'Storage class of the payloads, such as STANDARD_IA; a .meta stays in the bucket\'s usual one' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-sse -d 'Ask the host to encrypt what it stores' -r -f -a "AES256\t''
aws:kms\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-sse-kms-key-id -d 'The key for aws:kms; when unset the bucket\'s' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-object-lock-mode -d 'Lock every backup against deletion (Object Lock)' -r -f -a "GOVERNANCE\t''
COMPLIANCE\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-object-lock-days -d 'For so many days' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-md5-required -d 'Send Content-MD5 even where DB_BACKUP_VERIFY is 0' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-part-size -d 'Size of a part; computed from the size of the dump when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-parts-in-flight -d 'Parts being sent at the same time' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-part-limit -d 'The most parts that the host allows in one upload' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-timeout -d 'Limit of one request with all its retries' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l s3-attempts -d 'How often a request is tried' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -l json -d 'One JSON document on stdout'
complete -c pgbk -n "__fish_pgbk_using_subcommand pin" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l variant -d 'The output that is meant, as OUTPUTS names them; when unset the one of the id, and plain for "latest"' -r -f -a "plain\t'The database as it is, in the format of DUMP_FORMAT'
custom\t'The database as it is, as an archive for pg_restore'
anonymised\t'The database with its values changed as the rules of anonymising say'"
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l anon-store-dir -d 'Keep anonymised backups in this directory; beside the others when unset' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l anon-s3-folder -d 'Keep anonymised backups in this folder of the bucket; beside the others when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l store-dir -d 'Keep backups in this directory, unless an S3 bucket is set' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l max-object-size -d 'Largest object that the store takes, 8M or more: a larger payload becomes several objects. When unset 5T on S3, and no limit in a directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-host-base -d 'Host of the S3 service (https), or its URL; AWS when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-region -d 'Region of the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-bucket -d 'Keep backups in this S3 bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-folder -d 'Folder in the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-object-name -d 'Keep every backup as a new version of objects of this name, in a bucket that keeps versions' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-addressing -d 'Where the bucket stands in addresses: in the path, or before the host\'s name; found out when unset' -r -f -a "path\t''
virtual\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-ca-file -d 'Certificates (PEM) to trust beside the system\'s' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-request-headers -d 'Headers for the requests that create objects: key:value pairs split at a backslash' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-storage-class -d 'Storage class of the payloads, such as STANDARD_IA; a .meta stays in the bucket\'s usual one' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-sse -d 'Ask the host to encrypt what it stores' -r -f -a "AES256\t''
aws:kms\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-sse-kms-key-id -d 'The key for aws:kms; when unset the bucket\'s' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-object-lock-mode -d 'Lock every backup against deletion (Object Lock)' -r -f -a "GOVERNANCE\t''
COMPLIANCE\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-object-lock-days -d 'For so many days' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-md5-required -d 'Send Content-MD5 even where DB_BACKUP_VERIFY is 0' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-part-size -d 'Size of a part; computed from the size of the dump when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-parts-in-flight -d 'Parts being sent at the same time' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-part-limit -d 'The most parts that the host allows in one upload' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-timeout -d 'Limit of one request with all its retries' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l s3-attempts -d 'How often a request is tried' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -l json -d 'One JSON document on stdout'
complete -c pgbk -n "__fish_pgbk_using_subcommand unpin" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l schedule -d 'When: as in a crontab, 6 fields with seconds, 7 with years, or @daily and the like. Several are separated by ";", and "EXPR = a,b" is for these databases alone' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l verify-schedule -d 'When the newest backup of each database is proven by a restore (verify --level restore), in the same form; never when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l catch-up -d 'Run at the start what was missed while the scheduler was down' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l jitter -d 'Begin each run up to so much later, at random' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l retry -d 'Pause before what failed is tried again, doubled each time up to 1h, until the next run is due; 0 never tries again' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l next -d 'Show the next N runs, and do nothing' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l listen -d 'Serve a status page, /metrics for Prometheus and /healthz at this address, such as 127.0.0.1:9187; :9187 is every address' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l health-grace -d 'How much later than it is due a backup may be done before that is unhealthy' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l capture -d 'Capture the changes of each database that is backed up, too, beside the schedule' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l format -d 'The format that pg_dump writes' -r -f -a "plain\t'An SQL script'
custom\t'An archive for `pg_restore`'"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l globals -d 'Back up roles and tablespaces too, once in each run (pg_dumpall --globals-only)' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l files -d 'Back up these files and folders too, once in each run, with colons between them' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l pg-dump-args -d 'More arguments for pg_dump, split as a shell would' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l jobs -d 'How many connections read tables at a time; 2 when unset, or 1 on one core, and 1 for a database below 64 MiB' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l lock-timeout -d 'How long pg_dump may wait for a locked table; 0 waits for ever' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l stall-timeout -d 'How long pg_dump may write nothing before it is stopped' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l run-timeout -d 'How long the backup of one database may take before it is stopped; no limit when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l time-zone -d 'Time zone of schedules, hours, days, weeks and months; UTC when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l compress -d 'Compression: 0 (none), 1 (xz), xz, zstd or gzip' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l compress-level -d 'Compression level; when unset xz 4, zstd 3, gzip 6' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l size-estimate -d 'Size of the dump to plan for, such as 500G, where the server\'s figure is too small' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l host -d 'Host name, address or socket directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l port -d 'Port; 5432 when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l user -d 'User name' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l pg-bin-dir -d 'Look for pg_dump and pg_restore here only' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l store-dir -d 'Keep backups in this directory, unless an S3 bucket is set' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l max-object-size -d 'Largest object that the store takes, 8M or more: a larger payload becomes several objects. When unset 5T on S3, and no limit in a directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-host-base -d 'Host of the S3 service (https), or its URL; AWS when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-region -d 'Region of the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-bucket -d 'Keep backups in this S3 bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-folder -d 'Folder in the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-object-name -d 'Keep every backup as a new version of objects of this name, in a bucket that keeps versions' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-addressing -d 'Where the bucket stands in addresses: in the path, or before the host\'s name; found out when unset' -r -f -a "path\t''
virtual\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-ca-file -d 'Certificates (PEM) to trust beside the system\'s' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-request-headers -d 'Headers for the requests that create objects: key:value pairs split at a backslash' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-storage-class -d 'Storage class of the payloads, such as STANDARD_IA; a .meta stays in the bucket\'s usual one' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-sse -d 'Ask the host to encrypt what it stores' -r -f -a "AES256\t''
aws:kms\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-sse-kms-key-id -d 'The key for aws:kms; when unset the bucket\'s' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-object-lock-mode -d 'Lock every backup against deletion (Object Lock)' -r -f -a "GOVERNANCE\t''
COMPLIANCE\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-object-lock-days -d 'For so many days' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-md5-required -d 'Send Content-MD5 even where DB_BACKUP_VERIFY is 0' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-part-size -d 'Size of a part; computed from the size of the dump when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-parts-in-flight -d 'Parts being sent at the same time' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-part-limit -d 'The most parts that the host allows in one upload' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-timeout -d 'Limit of one request with all its retries' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l s3-attempts -d 'How often a request is tried' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l no-encrypt -d 'Keys decrypt and seal, but new backups are not encrypted' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l check -d 'Check what was stored; a restore always checks' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l outputs -d 'The backups that a run makes of one snapshot, with commas between them; the list must name plain' -r -f -a "plain\t'The database as it is, in the format of DUMP_FORMAT'
custom\t'The database as it is, as an archive for pg_restore'
anonymised\t'The database with its values changed as the rules of anonymising say'"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l anon-store-dir -d 'Keep anonymised backups in this directory; beside the others when unset' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l anon-s3-folder -d 'Keep anonymised backups in this folder of the bucket; beside the others when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l rules -d 'The file (TOML) that says what becomes of each column' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l keep-last -d 'Keep the newest N backups' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l max-full-backups -d 'Another name for KEEP_LAST, which wins' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l keep-hourly -d 'Keep the newest backup of each of the last N hours that have one' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l keep-daily -d 'Keep the newest of each of N days' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l keep-weekly -d 'Keep the newest of each of N ISO weeks' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l keep-monthly -d 'Keep the newest of each of N months' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l keep-yearly -d 'Keep the newest of each of N years' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l keep-within -d 'Keep what is not older than that, counted from the newest backup, such as 12h, 7d, 3mo' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l keep-capture -d 'Keep the bases by which every moment of so much time can be restored from captured changes, counted from the newest base, such as 7d' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l keep-minimum -d 'Keep N in any case, where the rules above keep fewer' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l lifecycle-tags -d 'Tag the newest backups lifecycle=monthly, weekly or hourly, for the host\'s own rules' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l state-dir -d 'Where pgbk remembers runs, the newest 1000, and keys derived from a password; when unset /var/lib/pgbk if it can be written to, else ~/.local/state/pgbk' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l smtp-host -d 'Send mail through this server' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l smtp-port -d 'Port of the mail server; when unset 587, for tls 465, for none 25' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l smtp-security -d 'How mail is protected on its way to the server; starttls when unset, on port 465 tls' -r -f -a "starttls\t''
tls\t''
none\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l smtp-user -d 'Log in to the mail server as this user' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l smtp-enabled -d 'Whether mail is sent' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l mail-to -d 'Recipients of mail, with commas between them' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l mail-from -d 'Sender of mail; SMTP_USER when unset and an address' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l mail-subject-prefix -d 'Put this before every subject' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l alert-ca-file -d 'Certificates (PEM) to trust beside the system\'s, for mail and webhooks' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l alert-timeout -d 'How long the end of a run waits for alerts to be delivered' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l scratch -d 'Where --level restore makes its scratch database: on the server (another one with --scratch-host), or on one that pgbk starts itself' -r -f -a "server\t'On the server that is backed up, or that of --scratch-host'
cluster\t'On a server of its own, in a private temporary folder (TMPDIR): needs PostgreSQL\'s server programs'"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l scratch-host -d 'Host of another server for it; its password is in VERIFY_DB_PASSWORD' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l scratch-port -d 'Port of that server; 5432 when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l scratch-user -d 'User name on that server; when unset as on the server that is backed up' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l interval -d 'How long a segment waits for more changes before it is stored' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l bytes -d 'After how many bytes of changes, before compression, a segment is stored' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l slot -d 'Name of the replication slot; when unset pgbk_ and the name of the database' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l wal-limit -d 'How much of its log the server may keep for the slot before it is dropped; when unset a quarter of max_slot_wal_keep_size, or 10G' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l journal -d 'Keep a journal: a small sealed text that says all that is needed to restore the latest state, beside the segments and in STATE_DIR' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l journal-mail -d 'Keep a journal and mail it when it has changed, as alerts are mailed' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l journal-every -d 'Least time between two mails of a journal' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l lag-limit -d 'How old the newest moment that can be restored may be before that is unhealthy; when unset 5m, or twice CAPTURE_INTERVAL' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l bases -d 'Take bases while changes are captured: the first one, and a new one whenever one is due' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l base-every -d 'How old the newest base may become before the next one is taken, such as 24h, 7d or 06:00; unset: 24h, and beside a schedule no limit, as its backups are bases' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l max-duration-since-last-full-backup -d 'Another name for CAPTURE_BASE_EVERY' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l base-bytes -d 'After how many bytes of stored changes the next base is taken; no limit when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l base-changes -d 'After how many changed rows the next base is taken; no limit when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l once -d 'Wait for the first run that is due, do it, and end as "pgbk backup" would'
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l json -d 'Print one JSON document on stdout, with --next'
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -l allow-unauthenticated -d 'Accept backups that no key has sealed although a key is set'
complete -c pgbk -n "__fish_pgbk_using_subcommand schedule" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_using_subcommand history" -l limit -d 'The number of runs to show, the newest ones' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand history" -l state-dir -d 'Where pgbk remembers runs, the newest 1000, and keys derived from a password; when unset /var/lib/pgbk if it can be written to, else ~/.local/state/pgbk' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand history" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand history" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand history" -l failed -d 'Only runs that failed'
complete -c pgbk -n "__fish_pgbk_using_subcommand history" -l running -d 'Only runs that are going on'
complete -c pgbk -n "__fish_pgbk_using_subcommand history" -l json -d 'One JSON document on stdout'
complete -c pgbk -n "__fish_pgbk_using_subcommand history" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_using_subcommand status" -l max-age -d 'Judge by the age of the newest backups and not by a scheduler, such as 26h: for a timer, cron or a CronJob' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand status" -l state-dir -d 'Where pgbk remembers runs, the newest 1000, and keys derived from a password; when unset /var/lib/pgbk if it can be written to, else ~/.local/state/pgbk' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand status" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand status" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand status" -l json -d 'One JSON document on stdout'
complete -c pgbk -n "__fish_pgbk_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l bases -d 'Take bases while changes are captured: the first one, and a new one whenever one is due' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l base-every -d 'How old the newest base may become before the next one is taken, such as 24h, 7d or 06:00; unset: 24h, and beside a schedule no limit, as its backups are bases' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l max-duration-since-last-full-backup -d 'Another name for CAPTURE_BASE_EVERY' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l base-bytes -d 'After how many bytes of stored changes the next base is taken; no limit when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l base-changes -d 'After how many changed rows the next base is taken; no limit when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l compress -d 'Compression: 0 (none), 1 (xz), xz, zstd or gzip' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l compress-level -d 'Compression level; when unset xz 4, zstd 3, gzip 6' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l size-estimate -d 'Size of the dump to plan for, such as 500G, where the server\'s figure is too small' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l host -d 'Host name, address or socket directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l port -d 'Port; 5432 when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l user -d 'User name' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l pg-bin-dir -d 'Look for pg_dump and pg_restore here only' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l store-dir -d 'Keep backups in this directory, unless an S3 bucket is set' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l max-object-size -d 'Largest object that the store takes, 8M or more: a larger payload becomes several objects. When unset 5T on S3, and no limit in a directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-host-base -d 'Host of the S3 service (https), or its URL; AWS when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-region -d 'Region of the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-bucket -d 'Keep backups in this S3 bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-folder -d 'Folder in the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-object-name -d 'Keep every backup as a new version of objects of this name, in a bucket that keeps versions' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-addressing -d 'Where the bucket stands in addresses: in the path, or before the host\'s name; found out when unset' -r -f -a "path\t''
virtual\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-ca-file -d 'Certificates (PEM) to trust beside the system\'s' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-request-headers -d 'Headers for the requests that create objects: key:value pairs split at a backslash' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-storage-class -d 'Storage class of the payloads, such as STANDARD_IA; a .meta stays in the bucket\'s usual one' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-sse -d 'Ask the host to encrypt what it stores' -r -f -a "AES256\t''
aws:kms\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-sse-kms-key-id -d 'The key for aws:kms; when unset the bucket\'s' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-object-lock-mode -d 'Lock every backup against deletion (Object Lock)' -r -f -a "GOVERNANCE\t''
COMPLIANCE\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-object-lock-days -d 'For so many days' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-md5-required -d 'Send Content-MD5 even where DB_BACKUP_VERIFY is 0' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-part-size -d 'Size of a part; computed from the size of the dump when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-parts-in-flight -d 'Parts being sent at the same time' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-part-limit -d 'The most parts that the host allows in one upload' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-timeout -d 'Limit of one request with all its retries' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l s3-attempts -d 'How often a request is tried' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l no-encrypt -d 'Keys decrypt and seal, but new backups are not encrypted' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l check -d 'Check what was stored; a restore always checks' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l state-dir -d 'Where pgbk remembers runs, the newest 1000, and keys derived from a password; when unset /var/lib/pgbk if it can be written to, else ~/.local/state/pgbk' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l interval -d 'How long a segment waits for more changes before it is stored' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l bytes -d 'After how many bytes of changes, before compression, a segment is stored' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l slot -d 'Name of the replication slot; when unset pgbk_ and the name of the database' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l wal-limit -d 'How much of its log the server may keep for the slot before it is dropped; when unset a quarter of max_slot_wal_keep_size, or 10G' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l journal -d 'Keep a journal: a small sealed text that says all that is needed to restore the latest state, beside the segments and in STATE_DIR' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l journal-mail -d 'Keep a journal and mail it when it has changed, as alerts are mailed' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l journal-every -d 'Least time between two mails of a journal' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l lag-limit -d 'How old the newest moment that can be restored may be before that is unhealthy; when unset 5m, or twice CAPTURE_INTERVAL' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l smtp-host -d 'Send mail through this server' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l smtp-port -d 'Port of the mail server; when unset 587, for tls 465, for none 25' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l smtp-security -d 'How mail is protected on its way to the server; starttls when unset, on port 465 tls' -r -f -a "starttls\t''
tls\t''
none\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l smtp-user -d 'Log in to the mail server as this user' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l smtp-enabled -d 'Whether mail is sent' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l mail-to -d 'Recipients of mail, with commas between them' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l mail-from -d 'Sender of mail; SMTP_USER when unset and an address' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l mail-subject-prefix -d 'Put this before every subject' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l alert-ca-file -d 'Certificates (PEM) to trust beside the system\'s, for mail and webhooks' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l alert-timeout -d 'How long the end of a run waits for alerts to be delivered' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l setup -d 'Make publications and slot, begin a generation, and end'
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l teardown -d 'Drop slot and publications; what is stored stays'
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l status -d 'Show what is stored, and what the server keeps for the capture'
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l print-sql -d 'Show the statements of --setup, and change nothing'
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l new-generation -d 'Begin a new chain, where the one in the store cannot go on; take a backup after it'
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l json -d 'One JSON document on stdout, for --status and --print-sql'
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -l allow-unauthenticated -d 'Accept backups that no key has sealed although a key is set'
complete -c pgbk -n "__fish_pgbk_using_subcommand capture" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l server -d 'Prune the backups of this server, by its system identifier, instead of those of DB_HOST; "all" is every server\'s, each by itself, "none" what names no server' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l time-zone -d 'Time zone of schedules, hours, days, weeks and months; UTC when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l host -d 'Host name, address or socket directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l port -d 'Port; 5432 when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l user -d 'User name' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l pg-bin-dir -d 'Look for pg_dump and pg_restore here only' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l variant -d 'The output that is meant, as OUTPUTS names them; when unset the one of the id, and plain for "latest"' -r -f -a "plain\t'The database as it is, in the format of DUMP_FORMAT'
custom\t'The database as it is, as an archive for pg_restore'
anonymised\t'The database with its values changed as the rules of anonymising say'"
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l anon-store-dir -d 'Keep anonymised backups in this directory; beside the others when unset' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l anon-s3-folder -d 'Keep anonymised backups in this folder of the bucket; beside the others when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l store-dir -d 'Keep backups in this directory, unless an S3 bucket is set' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l max-object-size -d 'Largest object that the store takes, 8M or more: a larger payload becomes several objects. When unset 5T on S3, and no limit in a directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-host-base -d 'Host of the S3 service (https), or its URL; AWS when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-region -d 'Region of the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-bucket -d 'Keep backups in this S3 bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-folder -d 'Folder in the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-object-name -d 'Keep every backup as a new version of objects of this name, in a bucket that keeps versions' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-addressing -d 'Where the bucket stands in addresses: in the path, or before the host\'s name; found out when unset' -r -f -a "path\t''
virtual\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-ca-file -d 'Certificates (PEM) to trust beside the system\'s' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-request-headers -d 'Headers for the requests that create objects: key:value pairs split at a backslash' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-storage-class -d 'Storage class of the payloads, such as STANDARD_IA; a .meta stays in the bucket\'s usual one' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-sse -d 'Ask the host to encrypt what it stores' -r -f -a "AES256\t''
aws:kms\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-sse-kms-key-id -d 'The key for aws:kms; when unset the bucket\'s' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-object-lock-mode -d 'Lock every backup against deletion (Object Lock)' -r -f -a "GOVERNANCE\t''
COMPLIANCE\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-object-lock-days -d 'For so many days' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-md5-required -d 'Send Content-MD5 even where DB_BACKUP_VERIFY is 0' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-part-size -d 'Size of a part; computed from the size of the dump when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-parts-in-flight -d 'Parts being sent at the same time' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-part-limit -d 'The most parts that the host allows in one upload' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-timeout -d 'Limit of one request with all its retries' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l s3-attempts -d 'How often a request is tried' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l no-encrypt -d 'Keys decrypt and seal, but new backups are not encrypted' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l check -d 'Check what was stored; a restore always checks' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l keep-last -d 'Keep the newest N backups' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l max-full-backups -d 'Another name for KEEP_LAST, which wins' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l keep-hourly -d 'Keep the newest backup of each of the last N hours that have one' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l keep-daily -d 'Keep the newest of each of N days' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l keep-weekly -d 'Keep the newest of each of N ISO weeks' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l keep-monthly -d 'Keep the newest of each of N months' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l keep-yearly -d 'Keep the newest of each of N years' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l keep-within -d 'Keep what is not older than that, counted from the newest backup, such as 12h, 7d, 3mo' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l keep-capture -d 'Keep the bases by which every moment of so much time can be restored from captured changes, counted from the newest base, such as 7d' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l keep-minimum -d 'Keep N in any case, where the rules above keep fewer' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l state-dir -d 'Where pgbk remembers runs, the newest 1000, and keys derived from a password; when unset /var/lib/pgbk if it can be written to, else ~/.local/state/pgbk' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l dry-run -d 'Show what would go and what stays, and why; remove nothing'
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l force -d 'Go on where more than half of the backups would go'
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l orphans -d 'Remove what killed runs left behind, where it is older than a day'
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l json -d 'One JSON document on stdout'
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -l allow-unauthenticated -d 'Accept backups that no key has sealed although a key is set'
complete -c pgbk -n "__fish_pgbk_using_subcommand prune" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l older-than -d 'See --clean' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l remove-meta -d 'Remove this .meta, whose payload is missing; doctor names such' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l globals -d 'Back up roles and tablespaces too, once in each run (pg_dumpall --globals-only)' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l files -d 'Back up these files and folders too, once in each run, with colons between them' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l host -d 'Host name, address or socket directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l port -d 'Port; 5432 when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l user -d 'User name' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l pg-bin-dir -d 'Look for pg_dump and pg_restore here only' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l store-dir -d 'Keep backups in this directory, unless an S3 bucket is set' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l max-object-size -d 'Largest object that the store takes, 8M or more: a larger payload becomes several objects. When unset 5T on S3, and no limit in a directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-host-base -d 'Host of the S3 service (https), or its URL; AWS when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-region -d 'Region of the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-bucket -d 'Keep backups in this S3 bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-folder -d 'Folder in the bucket' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-object-name -d 'Keep every backup as a new version of objects of this name, in a bucket that keeps versions' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-addressing -d 'Where the bucket stands in addresses: in the path, or before the host\'s name; found out when unset' -r -f -a "path\t''
virtual\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-ca-file -d 'Certificates (PEM) to trust beside the system\'s' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-request-headers -d 'Headers for the requests that create objects: key:value pairs split at a backslash' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-storage-class -d 'Storage class of the payloads, such as STANDARD_IA; a .meta stays in the bucket\'s usual one' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-sse -d 'Ask the host to encrypt what it stores' -r -f -a "AES256\t''
aws:kms\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-sse-kms-key-id -d 'The key for aws:kms; when unset the bucket\'s' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-object-lock-mode -d 'Lock every backup against deletion (Object Lock)' -r -f -a "GOVERNANCE\t''
COMPLIANCE\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-object-lock-days -d 'For so many days' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-md5-required -d 'Send Content-MD5 even where DB_BACKUP_VERIFY is 0' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-part-size -d 'Size of a part; computed from the size of the dump when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-parts-in-flight -d 'Parts being sent at the same time' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-part-limit -d 'The most parts that the host allows in one upload' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-timeout -d 'Limit of one request with all its retries' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l s3-attempts -d 'How often a request is tried' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l no-encrypt -d 'Keys decrypt and seal, but new backups are not encrypted' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l check -d 'Check what was stored; a restore always checks' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l state-dir -d 'Where pgbk remembers runs, the newest 1000, and keys derived from a password; when unset /var/lib/pgbk if it can be written to, else ~/.local/state/pgbk' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l smtp-host -d 'Send mail through this server' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l smtp-port -d 'Port of the mail server; when unset 587, for tls 465, for none 25' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l smtp-security -d 'How mail is protected on its way to the server; starttls when unset, on port 465 tls' -r -f -a "starttls\t''
tls\t''
none\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l smtp-user -d 'Log in to the mail server as this user' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l smtp-enabled -d 'Whether mail is sent' -r -f -a "0\t''
1\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l mail-to -d 'Recipients of mail, with commas between them' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l mail-from -d 'Sender of mail; SMTP_USER when unset and an address' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l mail-subject-prefix -d 'Put this before every subject' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l alert-ca-file -d 'Certificates (PEM) to trust beside the system\'s, for mail and webhooks' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l alert-timeout -d 'How long the end of a run waits for alerts to be delivered' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l clean -d 'Remove what killed runs left behind, where it is older than --older-than'
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l forget-missing -d 'Miss no longer the backups that are missed now: it is known why they are gone'
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l make-store -d 'Make STORE_DIR with everything that it is in, and let it hold no backups yet: a new place, not a share that is not mounted'
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l test-alerts -d 'Send a test message by every way that alerts go'
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l json -d 'One JSON document on stdout'
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -l allow-unauthenticated -d 'Accept backups that no key has sealed although a key is set'
complete -c pgbk -n "__fish_pgbk_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_using_subcommand anonymise" -l rules -d 'The file (TOML) that says what becomes of each column' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand anonymise" -l host -d 'Host name, address or socket directory' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand anonymise" -l port -d 'Port; 5432 when unset' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand anonymise" -l user -d 'User name' -r
complete -c pgbk -n "__fish_pgbk_using_subcommand anonymise" -l pg-bin-dir -d 'Look for pg_dump and pg_restore here only' -r -F
complete -c pgbk -n "__fish_pgbk_using_subcommand anonymise" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand anonymise" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand anonymise" -l check -d 'List each column with its rule, and check that the rules fit; change and store nothing'
complete -c pgbk -n "__fish_pgbk_using_subcommand anonymise" -l json -d 'One JSON document on stdout, with the query for each table'
complete -c pgbk -n "__fish_pgbk_using_subcommand anonymise" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_using_subcommand completions" -l log-format -d 'How log lines look' -r -f -a "text\t''
json\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand completions" -l log-level -d 'Which log lines are shown' -r -f -a "error\t''
warn\t''
info\t''
debug\t''"
complete -c pgbk -n "__fish_pgbk_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "backup" -d 'Dump databases into the store'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "restore" -d 'Restore a backup into a database'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "download" -d 'Write a backup\'s dump to a file, ready for an editor'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "upload" -d 'Make a backup of an existing dump'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "verify" -d 'Prove that stored backups are whole'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "list" -d 'Show what is stored'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "log" -d 'Show the transactions in the stored changes of a database'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "pin" -d 'Keep a backup whatever the rules of retention say'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "unpin" -d 'Let the rules of retention count for a backup again'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "schedule" -d 'Back up whenever it is due, until told to stop'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "history" -d 'Show what ran: done, failed, running'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "status" -d 'Show whether backups go as they are scheduled: exit code 0 if so, else 1'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "capture" -d 'Store the changes of a database as they are made, until told to stop'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "prune" -d 'Remove the backups that no rule keeps'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "doctor" -d 'Check settings, server, tools and store, with a remedy for each finding'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "anonymise" -d 'Show what the rules of anonymising say for each column of a database'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "completions" -d 'Print the completion script for a shell'
complete -c pgbk -n "__fish_pgbk_using_subcommand help; and not __fish_seen_subcommand_from backup restore download upload verify list log pin unpin schedule history status capture prune doctor anonymise completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
