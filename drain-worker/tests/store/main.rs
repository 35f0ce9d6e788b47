//! One suite for every database: SQLite always; MariaDB, directly, through a proxy that passes sessions through and through
//! one that pools by transaction, where the environment names
//! them (`infra/local/stack up`, then `eval "$(infra/local/stack env)"`).

#![allow(clippy::expect_used, reason = "tests use expect with the expectation")]

mod cases;
mod connections;
mod contention;
mod deadlocks;
mod fence;
mod grammar;
mod harness;
mod kill;
mod long_path;
mod migrations;
mod orders;
mod outage;
mod readers;
mod refused;
mod relay;
mod schema;
mod stall;
mod statements;
mod tune;
mod unknown_code;

/// Declares each case once for each database.
macro_rules! conformance {
    ($($module:ident::$case:ident,)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::harness::on_sqlite(crate::cases::$module::$case).await;
            })*
        }

        mod mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::harness::on_mysql(crate::cases::$module::$case).await;
            })*
        }

        /// Runs every case on MariaDB, one after the other, through `recorder`.
        async fn record_every_case(recorder: &crate::grammar::Recorder) {
            $(crate::harness::on_server(Some(recorder.url()), crate::cases::$module::$case).await;)*
        }

        mod passthrough {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::harness::on_passthrough(crate::cases::$module::$case).await;
            })*
        }

        mod proxy {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::harness::on_proxy(crate::cases::$module::$case).await;
            })*
        }
    };
}

conformance! {
    outcomes::every_outcome_is_written_with_its_items,
    outcomes::an_order_is_confirmed_whole_or_not_at_all,
    outcomes::the_last_unit_goes_to_the_first_order,
    outcomes::limits_hold_within_a_batch_and_across_batches,
    outcomes::several_sales_in_one_batch_keep_apart,
    outcomes::ids_are_case_sensitive,
    outcomes::addresses_keep_every_character,
    outcomes::a_batch_of_a_thousand_orders_is_decided_whole,
    outcomes::many_lines_of_many_skus_are_written,
    redelivery::a_redelivery_changes_nothing,
    redelivery::a_duplicate_within_a_batch_is_one_order,
    redelivery::another_payload_under_the_same_id_is_recorded_once,
    redelivery::a_race_for_one_id_has_one_winner,
    concurrency::concurrent_committers_neither_oversell_nor_lose,
    poison::a_rejected_row_is_isolated,
    poison::an_unknown_sku_waits_for_the_catalogue,
    poison::an_impossible_order_becomes_a_letter,
    dead_letters::any_message_id_has_a_letter_of_its_own,
    dead_letters::letters_are_updated_listed_and_removed,
    dead_letters::large_messages_are_kept,
    dead_letters::letters_are_selected_page_by_page,
    dead_letters::a_discard_is_undone_until_its_payload_is_deleted,
    dead_letters::a_discarded_letter_keeps_its_state_and_drops_its_payload,
    dead_letters::a_redelivery_leaves_discarded_letters,
    dead_letters::a_letter_is_discarded_or_decided_never_both,
    dead_letters::only_undecided_orders_are_stored,
    redrive::a_redriven_order_is_confirmed_once,
    redrive::a_redrive_of_many_pages_is_one_entry_of_the_audit_trail,
    redrive::concurrent_redrives_change_each_letter_once,
    redrive::a_message_is_redriven_whole,
    redrive::unreadable_and_discarded_letters_stay,
    redrive::pages_follow_one_another,
    redrive::redrives_acquire_credits_and_report_a_stop,
    locks::a_locked_sku_is_named_and_the_others_are_committed,
    purge::personal_data_goes_first_and_rows_later,
    purge::a_purge_spends_credits_and_continues,
    purge::recent_data_cannot_be_purged,
    purge::a_purge_leaves_a_letter_that_was_restored,
    lookups::an_order_is_found_in_every_state,
    lookups::totals_and_stock_are_returned,
    lookups::an_operator_sees_all_of_an_order_but_its_address,
    lookups::a_buyers_orders_are_listed_in_pages,
    lookups::orders_are_found_by_their_reference_without_their_buyer,
    lookups::a_sale_is_shown_with_stock_and_recent_outcomes,
    catalogues::a_catalogue_is_applied_repeatedly,
    catalogues::changes_of_stock_are_on_the_audit_trail,
    catalogues::stock_never_falls_below_the_reserved_quantity,
    catalogues::a_limit_set_during_a_sale_counts_earlier_orders,
    pool::a_lease_is_joined_renewed_and_left,
    pool::without_its_lease_a_worker_commits_nothing,
    pool::fencing_leaves_transactions_under_way_alone_and_does_not_wait,
    pool::settings_change_and_are_put_on_record,
    pool::a_change_is_made_on_the_settings_that_its_author_has_seen,
    pool::an_act_of_many_pages_is_one_row,
    pool::shares_are_taken_one_after_the_other,
    pool::a_full_pool_takes_no_worker,
}
