//! The cases, each with the tests that show it.

/// Number, what happens, and what shows what becomes of it.
pub const CASES: &[(usize, &str, &[&str])] = &[
    (1, "the database does not exist", &["an_unknown_database_is_not_found"]),
    (2, "pg_dump's session is ended by the server", &["a_dump_whose_session_is_ended_by_the_server_leaves_no_backup"]),
    (
        3,
        "pg_dump is killed",
        &[
            "a_killed_pg_dump_leaves_no_backup_and_the_signal_is_named",
            "whatever_becomes_of_pg_dump_the_backup_is_complete_or_leaves_nothing",
        ],
    ),
    (
        4,
        "pg_dump is content and its last line missing",
        &[
            "a_dump_without_its_last_line_is_no_backup_although_pg_dump_was_content",
            "an_archive_without_its_end_is_no_backup_although_pg_dump_was_content",
        ],
    ),
    (5, "ten megabytes on stderr", &["ten_megabytes_on_stderr_block_nothing_and_fill_no_message"]),
    (6, "pg_dump is older than the server", &["a_pg_dump_older_than_the_server_is_refused_before_anything_is_stored"]),
    (7, "pg_dump stalls", &["a_pg_dump_that_hangs_is_ended_after_the_stall_timeout"]),
    (8, "rows are hidden from the role", &["a_role_from_whom_rows_are_hidden_makes_no_backup_of_the_others"]),
    (
        9,
        "a table is dropped or locked during the dump",
        &[
            "a_table_that_somebody_holds_ends_the_dump_when_its_time_to_wait_is_over",
            "a_table_that_is_dropped_before_it_is_dumped_is_missed_and_the_dump_taken_anew",
        ],
    ),
    (
        10,
        "names, widths and fields of every kind",
        &[
            "a_database_with_everything_comes_back_as_it_was",
            "any_database_name_can_be_backed_up_and_restored",
            "an_empty_database_comes_back_empty",
            "a_field_of_many_megabytes_is_carried_whole",
            "a_field_too_large_for_its_text_form_is_refused_and_not_cut",
        ],
    ),
    (
        11,
        "500 and 503 for a while",
        &[
            "a_host_in_trouble_is_asked_again_and_gets_one_object",
            "whichever_request_of_a_backup_fails_it_is_complete_or_leaves_nothing",
        ],
    ),
    (12, "every try fails", &["when_every_try_fails_the_upload_is_aborted", "an_abort_is_tried_again"]),
    (13, "200 with an error in it", &["an_error_within_a_200_is_a_failure"]),
    (
        14,
        "the answer is lost after the deed",
        &[
            "a_lost_answer_to_what_succeeded_is_a_success",
            "a_condition_that_fails_on_the_second_try_because_the_first_succeeded_is_a_success",
            "an_upload_whose_id_was_lost_with_the_answer_is_aborted",
        ],
    ),
    (
        15,
        "the name is another's by then",
        &[
            "a_lost_completion_of_another_object_is_no_success",
            "a_meta_that_another_program_wrote_meanwhile_is_neither_overwritten_nor_taken_back",
            "a_second_create_is_refused_and_leaves_the_first_unharmed",
        ],
    ),
    (
        16,
        "409",
        &["of_two_who_create_at_once_one_wins", "whichever_request_of_a_backup_fails_it_is_complete_or_leaves_nothing"],
    ),
    (
        17,
        "killed between payload and .meta",
        &[
            "a_killed_backup_to_s3_leaves_no_half_backup_and_can_be_cleaned_up",
            "a_killed_backup_to_a_directory_leaves_no_half_backup_and_can_be_cleaned_up",
            "what_killed_runs_left_is_offered_and_removed_when_it_is_older_than_a_day",
        ],
    ),
    (
        18,
        "a part is damaged on its way",
        &[
            "bodies_carry_their_md5_and_no_checksum_that_only_some_hosts_know",
            "whichever_request_of_a_backup_fails_it_is_complete_or_leaves_nothing",
        ],
    ),
    (
        19,
        "credentials expire",
        &[
            "a_wrong_clock_an_expired_key_and_another_region_are_told_with_what_to_set",
            "whichever_request_of_a_backup_fails_it_is_complete_or_leaves_nothing",
        ],
    ),
    (
        20,
        "the clocks differ",
        &["a_wrong_clock_an_expired_key_and_another_region_are_told_with_what_to_set", "every_host_tells_its_time"],
    ),
    (
        21,
        "no bucket, another region, no TLS",
        &[
            "on_every_host_a_missing_bucket_is_named",
            "a_wrong_clock_an_expired_key_and_another_region_are_told_with_what_to_set",
            "http_and_https_mixed_up_are_told_apart",
        ],
    ),
    (
        22,
        "more parts than the host takes",
        &[
            "a_stream_that_outgrows_the_parts_fails_early_and_names_the_settings",
            "parts_are_as_large_as_four_times_the_expected_size_needs",
        ],
    ),
    (
        23,
        "versions, locks and checksums",
        &[
            "payload_and_meta_are_locked_on_every_host_whether_sent_whole_or_in_parts",
            "the_md5_is_left_out_where_it_is_not_wanted_and_the_receipt_has_the_etag_all_the_same",
            "every_host_keeps_versions_where_the_bucket_does",
        ],
    ),
    (
        24,
        "a role that may neither list nor delete",
        &[
            "a_writer_backs_up_and_says_what_it_had_to_skip_and_a_reader_restores",
            "a_writer_neither_reads_deletes_nor_leaves_its_folder_and_clears_up_after_itself",
        ],
    ),
    (25, "more keys than a page", &["more_keys_than_a_page_holds_are_all_listed"]),
    (
        26,
        "a reset in the midst of a part",
        &[
            "over_a_bad_line_to_the_store_a_backup_is_complete_or_is_none",
            "whichever_request_of_a_backup_fails_it_is_complete_or_leaves_nothing",
        ],
    ),
    (
        27,
        "the end after any number of bytes",
        &[
            "over_a_bad_line_to_the_store_a_backup_is_complete_or_is_none",
            "over_a_bad_line_to_the_server_a_backup_is_complete_or_is_none",
            "over_a_bad_line_to_the_server_a_restore_is_whole_or_is_none",
        ],
    ),
    (28, "1 KB a second", &["over_a_bad_line_to_the_store_a_backup_is_complete_or_is_none"]),
    (
        29,
        "a line that says nothing more",
        &[
            "over_a_bad_line_to_the_store_a_backup_is_complete_or_is_none",
            "a_host_that_does_not_answer_is_given_up_at_the_deadline",
            "a_server_that_accepts_and_says_nothing_is_given_up",
        ],
    ),
    (
        30,
        "packets of one byte",
        &[
            "over_a_bad_line_to_the_store_a_backup_is_complete_or_is_none",
            "over_a_bad_line_to_the_server_a_restore_is_whole_or_is_none",
        ],
    ),
    (
        31,
        "a download is cut again and again",
        &[
            "a_short_answer_is_asked_for_again_and_never_taken_for_whole",
            "whichever_request_of_a_download_fails_the_file_is_whole_or_is_not_there",
            "over_a_bad_line_to_the_store_a_restore_is_whole_or_is_none",
        ],
    ),
    (
        32,
        "names are not found, at the start and later",
        &[
            "a_name_that_nobody_knows_is_told_at_once_and_leaves_nothing",
            // A name that is lost later is a host that cannot be reached any more.
            "over_a_bad_line_to_the_store_a_backup_is_complete_or_is_none",
        ],
    ),
    (
        33,
        "flipped bits",
        &[
            "every_one_of_a_thousand_flipped_bits_is_noticed_with_a_raw_key",
            "every_flipped_bit_is_noticed_with_a_password",
            "every_flipped_bit_is_noticed_without_a_key",
            "the_binary_restores_nothing_of_a_damaged_backup_and_says_where_the_damage_is",
        ],
    ),
    (
        34,
        "truncations",
        &[
            "every_truncation_is_noticed",
            "a_truncation_that_the_meta_agrees_with_is_noticed_by_the_tags",
            "appended_bytes_are_noticed",
        ],
    ),
    (
        35,
        "swaps, renames, replays",
        &[
            "what_belongs_to_another_backup_is_not_taken_for_this_one",
            "another_databases_pair_under_this_ones_name_is_refused",
            "swapped_chunks_are_noticed_at_the_first_of_them",
        ],
    ),
    (36, "the wrong key", &["the_wrong_key_or_password_leaves_no_file_and_no_database"]),
    (37, "the same data twice", &["two_backups_of_the_same_data_have_no_block_in_common"]),
    (
        38,
        "stock tools read everything",
        &[
            "a_raw_key_is_openssls",
            "a_raw_key_with_a_fixed_iv_is_openssls",
            "a_password_is_openssls",
            "without_a_key_nothing_but_the_compressor_is_needed",
            "what_is_only_sealed_needs_no_key_to_be_read",
        ],
    ),
    (
        39,
        "what Doubletake wrote",
        &["every_form_comes_back_from_buckets_with_and_without_versions_and_from_a_directory"],
    ),
    (
        40,
        "downgrades",
        &[
            "a_downgrade_to_no_key_is_refused_while_a_key_is_set",
            "fewer_iterations_are_refused_before_a_key_is_derived",
            "another_cipher_or_kdf_is_refused",
        ],
    ),
    (
        41,
        "a dump cut behind any statement",
        &[
            "a_script_that_is_cut_behind_any_of_its_statements_is_no_backup",
            "a_dump_that_was_cut_short_before_it_was_stored_restores_nothing",
        ],
    ),
    (
        42,
        "meta-commands",
        &["every_meta_command_is_refused_and_none_runs", "a_backslash_outside_quotes_is_a_meta_command"],
    ),
    (
        43,
        "an error at the nth statement",
        &["an_error_leaves_the_target_as_it_was", "an_error_at_the_last_statement_leaves_the_target_exactly_as_it_was"],
    ),
    (
        44,
        "the target is not empty, or is the source",
        &[
            "a_target_that_is_not_empty_is_refused_and_stays_as_it_was",
            "the_source_itself_is_replaced_only_when_that_is_said_twice",
        ],
    ),
    (
        45,
        "bombs",
        &[
            "a_bomb_stops_at_the_stated_size_and_takes_no_memory",
            "an_xz_stream_that_claims_a_huge_dictionary_is_refused",
        ],
    ),
    (
        46,
        "keys and links that lead elsewhere",
        &[
            "a_forged_document_cannot_lead_a_raw_download_elsewhere",
            "unsafe_keys_are_refused",
            "a_directory_store_follows_no_symbolic_links",
            "an_existing_output_file_is_kept_unless_it_is_said_otherwise",
        ],
    ),
    (
        47,
        "a full disk",
        &["a_full_disk_ends_a_backup_and_leaves_nothing_on_it", "a_full_disk_ends_a_download_and_leaves_nothing_on_it"],
    ),
    (48, "SIGTERM in the midst of a restore", &["an_interrupted_restore_leaves_no_database_and_an_old_one_as_it_was"]),
    (
        49,
        "another major version, missing roles and extensions",
        &[
            "a_backup_restores_into_every_newer_major",
            "missing_roles_are_listed_before_anything_starts",
            "a_missing_extension_is_listed_before_anything_starts",
            "owners_and_privileges_can_be_left_out",
        ],
    ),
    (
        50,
        "SIGTERM as process 1",
        &[
            "as_the_first_process_of_a_container_it_leaves_no_zombies",
            "a_signal_in_mid_dump_ends_the_scheduler_in_time_and_leaves_nothing",
            "an_interrupted_backup_leaves_nothing_in_the_store_and_no_pg_dump",
        ],
    ),
    (
        51,
        "orphaned grandchildren",
        &[
            "as_the_first_process_of_a_container_it_leaves_no_zombies",
            "whatever_becomes_of_pg_dump_the_backup_is_complete_or_leaves_nothing",
        ],
    ),
    (
        52,
        "a run is longer than its interval",
        &[
            "what_comes_due_while_it_runs_is_skipped_and_what_another_job_is_due_for_comes_after_it",
            "a_run_beside_a_backup_of_the_same_database_is_skipped_and_counted",
        ],
    ),
    (
        53,
        "the clock is changed",
        &[
            "a_fixed_time_that_is_skipped_runs_right_after_the_change_and_one_that_comes_twice_runs_once",
            "the_days_of_the_change_have_as_many_runs_as_they_have_hours_or_times",
            "a_clock_that_leaps_forwards_makes_one_run_and_one_that_goes_back_a_little_none",
            "a_clock_that_was_wrong_by_hours_does_not_stop_the_schedule_until_it_is_right",
        ],
    ),
    (
        54,
        "down over three runs",
        &[
            "what_was_missed_while_the_scheduler_was_down_is_caught_up_once",
            "what_was_missed_while_nothing_ran_is_caught_up_once",
        ],
    ),
    (55, "a very long stream in little memory", &["a_stream_of_any_length_takes_the_same_memory"]),
    (
        56,
        "secrets",
        &[
            "no_secret_is_anywhere_that_backup_restore_upload_or_schedule_write_to_or_start",
            "a_crash_leaves_no_core_with_the_keys_in_it",
            "no_secret_is_in_the_command_line_or_environment_of_pg_dump",
            "nothing_secret_is_written_into_the_state",
        ],
    ),
    (
        57,
        "two of one job",
        &["a_second_backup_while_one_runs_is_told_who_is_first", "a_second_lock_is_busy_and_names_the_holder"],
    ),
    (
        58,
        "settings that cannot be meant",
        &[
            "settings_that_cannot_be_meant_are_refused",
            "what_is_no_schedule_is_refused_with_the_reason",
            "keys_that_are_none_are_refused_before_anything_else",
            "no_text_makes_a_parser_panic",
        ],
    ),
];
