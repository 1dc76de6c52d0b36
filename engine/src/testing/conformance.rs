//! What every store must do: one suite, run on each of them.
//!
//! Every case is listed once, in its macro, and becomes a `#[tokio::test]`. The expression gives anything that
//! dereferences to a fresh store:
//!
//! ```ignore
//! mod journal { liteagent_engine::journal_conformance!(Arc::new(MemoryStore::default())); }
//! ```
//!
//! With `here` after the expression the cases become statements, for stores whose server is costly to start.
//!
//! Times are small numbers; the lease of a session must be [`DEFAULT_LEASE`](crate::store::DEFAULT_LEASE).
#![expect(clippy::unwrap_used, reason = "these are tests: a failure says where")]
#![expect(missing_docs, reason = "the name of a case is the sentence that it checks")]

pub mod conversations;
pub mod creation;
pub mod ends;
pub mod fencing;
pub mod holds;
pub mod inbox;
pub mod lists;
pub mod model;
pub mod operation;
pub mod ownership;
pub mod queue;
pub mod samples;
pub mod subjects;
pub mod usage;
pub mod values;
pub mod wakes;

/// The tests of a [`Journal`](crate::store::Journal).
#[macro_export]
macro_rules! journal_conformance {
    ($store:expr $(, $how:ident)?) => {
        $crate::conformance_cases! { $store $(, $how)?;
            conversations::turns_follow_each_other_and_get_their_answers,
            conversations::a_turn_beside_another_leaves_that_one_as_it_was,
            conversations::what_was_said_outlives_the_run_but_not_its_subject,
            conversations::conversations_are_listed_the_newest_first,
            conversations::a_conversation_is_of_the_user_who_began_it,
            conversations::the_turns_of_a_conversation_are_read_from_both_ends,
            conversations::a_conversation_is_forgotten_with_its_runs_or_without,
            creation::a_run_begins_queued_with_its_records,
            creation::a_run_can_begin_taken,
            creation::creating_the_same_id_again_changes_nothing,
            creation::an_idempotency_key_gives_the_same_run,
            creation::an_idempotency_key_with_another_body_is_a_conflict,
            creation::an_idempotency_key_expires_after_a_day,
            creation::an_idempotency_key_belongs_to_a_caller_and_a_workflow,
            creation::a_run_can_be_created_with_its_end,
            creation::a_bundle_never_changes,
            fencing::an_append_advances_the_run,
            fencing::records_are_read_in_pieces,
            fencing::an_append_needs_epoch_session_and_seq,
            fencing::a_run_that_is_not_owned_takes_no_records,
            fencing::a_refused_append_changes_nothing,
            fencing::a_refused_append_leaves_the_others_untouched,
            fencing::children_and_messages_come_with_the_append,
            fencing::a_conversation_is_stored_with_the_end,
            fencing::an_error_is_listed_with_the_end,
            holds::a_run_without_room_waits_and_the_oldest_goes_first,
            holds::a_run_keeps_its_room_while_it_waits_or_is_lost,
            holds::a_run_that_does_not_wait_is_rejected,
            holds::a_run_that_replaces_asks_the_oldest_to_stop,
            holds::a_waiting_run_begins_without_room_only_to_stop,
            holds::a_run_takes_all_its_keys_or_none,
            holds::a_run_below_one_that_holds_the_key_is_not_counted,
            holds::as_many_as_the_limit_go_on_whoever_comes_at_once,
            operation::nobody_takes_a_held_run_before_it_is_released,
            operation::held_runs_are_released_with_those_that_they_started,
            operation::what_is_spent_adds_up_by_account_and_in_all,
            operation::queued_runs_are_counted,
            operation::an_installation_keeps_when_it_was_backed_up,
            ownership::a_run_is_taken_by_one_of_many,
            ownership::a_run_of_a_living_session_cannot_be_taken,
            ownership::a_session_may_take_its_own_run_again,
            ownership::a_closed_session_gives_up_its_runs,
            ownership::a_silent_session_gives_up_its_runs,
            ownership::only_an_open_session_takes_runs,
            ownership::a_released_run_can_be_taken_by_anyone,
            ownership::what_ended_or_is_unknown_cannot_be_taken,
            inbox::messages_come_in_order_until_they_are_consumed,
            inbox::a_message_is_taken_once_also_after_it_was_consumed,
            inbox::the_same_id_may_go_to_another_run,
            inbox::a_run_rests_only_with_an_empty_inbox,
            inbox::mail_is_what_others_sent_to_running_runs,
            inbox::a_run_with_messages_may_be_queued,
            inbox::a_run_that_ended_takes_no_messages,
            inbox::every_kind_of_message_is_read_back,
            lists::runs_are_listed_newest_first_in_pages,
            lists::runs_are_filtered,
            lists::queued_runs_are_runnable_oldest_first,
            lists::runs_of_dead_sessions_are_runnable,
            lists::waiting_runs_are_runnable_when_their_time_has_come,
            lists::waiting_runs_with_messages_are_runnable,
            ends::runs_are_listed_in_the_order_of_their_ends,
            ends::an_end_comes_after_all_that_were_seen,
            ends::only_runs_that_have_ended_are_deleted_by_name,
            lists::the_backlog_says_how_much_waits_and_since_when,
            lists::old_runs_are_deleted_whole,
            lists::as_many_old_runs_are_deleted_as_asked,
            subjects::a_subject_is_forgotten_whole_and_others_stay,
            subjects::nothing_is_forgotten_while_a_run_of_the_subject_goes_on,
            usage::what_a_run_used_is_listed_with_its_end,
            usage::usage_adds_up_by_day_workflow_and_model_and_outlives_runs,
        }
    };
}

/// The tests of [`Blobs`](crate::store::Blobs).
#[macro_export]
macro_rules! blobs_conformance {
    ($store:expr $(, $how:ident)?) => {
        $crate::conformance_cases! { $store $(, $how)?;
            values::a_blob_is_read_back_by_its_digest,
            values::the_same_bytes_are_one_blob,
            values::a_blob_is_deleted_at_once,
            values::old_blobs_that_nobody_keeps_are_swept,
            values::a_blob_comes_and_goes_in_pieces,
            values::nothing_is_left_of_pieces_that_fail,
        }
    };
}

/// The tests of [`Files`](crate::store::Files).
#[macro_export]
macro_rules! files_conformance {
    ($store:expr $(, $how:ident)?) => {
        $crate::conformance_cases! { $store $(, $how)?;
            values::a_file_is_opened_by_its_run_and_id,
            values::a_file_of_another_run_is_not_opened,
            values::every_file_has_an_id_of_its_own,
            values::a_file_is_shared_with_another_run_and_no_other_one_is,
            values::a_file_that_was_uploaded_is_given_to_a_run_and_taken_back,
        }
    };
}

/// The tests of [`Kv`](crate::store::Kv).
#[macro_export]
macro_rules! kv_conformance {
    ($store:expr $(, $how:ident)?) => {
        $crate::conformance_cases! { $store $(, $how)?;
            values::a_value_is_set_read_and_removed,
            values::a_value_is_set_only_as_expected,
            values::one_of_many_sets_a_version,
        }
    };
}

/// The tests of an [`OutputCache`](crate::store::OutputCache).
#[macro_export]
macro_rules! cache_conformance {
    ($store:expr $(, $how:ident)?) => {
        $crate::conformance_cases! { $store $(, $how)?;
            values::an_output_is_found_until_its_time,
            values::an_output_is_replaced,
        }
    };
}

/// The tests of a [`Queue`](crate::queue::Queue), of a `Arc<Tried>` each; see [`journal_conformance`] for `here`.
#[macro_export]
macro_rules! queue_conformance {
    ($tried:expr $(, $how:ident)?) => {
        $crate::conformance_cases! { $tried $(, $how)?;
            queue::the_first_comes_first,
            queue::a_higher_priority_comes_first,
            queue::keys_take_turns,
            queue::who_comes_late_does_not_stand_behind_everything,
            queue::groups_are_apart,
            queue::every_job_is_read_back,
            queue::a_job_does_not_come_before_its_time,
            queue::a_pointer_that_waits_is_not_added_again,
            queue::a_pointer_that_is_leased_is_added,
            queue::who_waits_is_given_what_is_pushed,
            queue::who_waits_for_nothing_gets_nothing,
            queue::everything_comes_once_whoever_takes_it,
            queue::what_is_acknowledged_is_gone,
            queue::a_lease_that_ended_is_claimed,
            queue::a_lease_that_is_extended_stays,
            queue::a_job_that_is_handed_over_comes_at_once,
            queue::a_job_that_failed_comes_at_its_time,
            queue::the_last_failure_makes_a_dead_letter,
            queue::a_job_that_is_lost_again_and_again_is_a_dead_letter,
            queue::dead_letters_are_listed_tried_again_and_dropped,
            queue::depth_and_age_are_of_what_waits,
            queue::a_queue_that_lost_everything_goes_on_under_another_generation,
        }
    };
}

/// Makes tests of cases.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($store:expr, here; $($module:ident::$case:ident),+ $(,)?) => { $(
        {
            let store = $store;
            $crate::testing::conformance::$module::$case(&*store).await;
        }
    )+ };
    ($store:expr; $($module:ident::$case:ident),+ $(,)?) => { $(
        #[tokio::test]
        async fn $case() {
            let store = $store;
            $crate::testing::conformance::$module::$case(&*store).await;
        }
    )+ };
}
