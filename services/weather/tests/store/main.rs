//! Do the stores give back what they were given, and forget what they should?
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed test panics"
)]

mod mysql;
mod place;
mod records;
mod suite;

/// Runs each behaviour on a file and on a real server.
macro_rules! on_each_database {
    ($($behaviour:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $behaviour() {
                crate::suite::$behaviour(&crate::place::Place::sqlite()).await;
            })*
        }

        mod on_mariadb {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $behaviour() {
                crate::suite::$behaviour(&crate::place::Place::mariadb().await).await;
            })*
        }
    };
}

on_each_database! {
    newest_answer_of_a_question_is_found
    questions_are_told_apart
    days_are_put_together_from_several_answers
    older_answer_never_replaces_a_newer_day
    answers_are_stored_all_or_none
    fetch_that_is_stored_twice_is_there_once
    body_of_a_mebibyte_comes_back_as_it_was
    rows_past_their_retention_are_forgotten
    forgetting_is_bounded
    reopened_database_keeps_its_answers
    queued_answers_are_written_before_the_stop
    two_that_start_together_make_the_tables_once
    two_that_write_together_lose_nothing
    tables_of_a_newer_version_are_refused
    points_are_listed_once_and_in_order
    points_are_bounded_by_number
    outcome_of_fetching_is_noted
    one_of_several_leads
}
