//! Does a field have the outline that it was given last?

use std::sync::Arc;

use geojson::Geometry;
use ndvi::domain::field::{FieldDraft, FieldId};
use ndvi::domain::outline::Outline;
use ndvi::store::{Put, StoreError};

use crate::bench::{Bench, at, at_once, on_each_database};

on_each_database! {
    another_outline_is_another_revision
    damaged_field_is_named
    field_comes_back_as_it_went_in
    outlines_put_at_once_are_revisions_of_their_own
    same_outline_changes_nothing
}

pub(crate) fn id(name: &str) -> FieldId {
    FieldId::parse(name).unwrap()
}

/// A square of some hundred metres.
fn draft(east: f64, seconds: i64) -> FieldDraft {
    let (west, south, north) = (13.1, 48.2, 48.203);
    let square = format!(
        r#"{{"type": "Polygon", "coordinates":
        [[[{west}, {south}], [{east}, {south}], [{east}, {north}], [{west}, {south}]]]}}"#
    );
    let geometry: Geometry = square.parse().unwrap();
    FieldDraft {
        id: id("north-1"),
        outline: Outline::new(geometry, 100.0).unwrap(),
        at: at(seconds),
    }
}

async fn field_comes_back_as_it_went_in(bench: &impl Bench) {
    let store = bench.open().await;
    let draft = draft(13.100_000_000_000_3 + 0.003, 0);
    assert_eq!(store.field(&draft.id).await.unwrap(), None);
    let (field, put) = store.put_field(&draft).await.unwrap();
    assert_eq!(put, Put::Created);
    assert_eq!((&field.id, &field.geometry), (&draft.id, &draft.outline.to_geojson()));
    assert_eq!((field.area_ha, field.updated_at), (draft.outline.area_ha(), at(0)));
    assert_eq!(store.field(&draft.id).await.unwrap(), Some(field));
}

async fn same_outline_changes_nothing(bench: &impl Bench) {
    let store = bench.open().await;
    let (field, _) = store.put_field(&draft(13.103, 0)).await.unwrap();
    let (again, put) = store.put_field(&draft(13.103, 60)).await.unwrap();
    assert_eq!((again, put), (field, Put::Unchanged));
}

async fn another_outline_is_another_revision(bench: &impl Bench) {
    let store = bench.open().await;
    let (first, _) = store.put_field(&draft(13.103, 0)).await.unwrap();
    let (second, put) = store.put_field(&draft(13.104, 60)).await.unwrap();
    assert_eq!((put, second.updated_at), (Put::Replaced, at(60)));
    let (third, put) = store.put_field(&draft(13.103, 120)).await.unwrap();
    assert_eq!((put, &third.geometry), (Put::Replaced, &first.geometry));
    let revisions = [first.revision, second.revision, third.revision];
    assert!(revisions.is_sorted_by(|one, next| one < next), "{revisions:?}");
    assert_eq!(store.field(&third.id).await.unwrap(), Some(third));
}

async fn outlines_put_at_once_are_revisions_of_their_own(bench: &impl Bench) {
    let store = bench.open().await;
    let outcomes = at_once((0..16_u8).map(|number| {
        let store = Arc::clone(&store);
        let draft = draft(13.103 + f64::from(number) / 10_000.0, 0);
        async move { store.put_field(&draft).await.unwrap() }
    }))
    .await;
    let mut revisions: Vec<i64> = outcomes.iter().map(|(field, _)| field.revision).collect();
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), 16);
    let created = outcomes.iter().filter(|(_, put)| *put == Put::Created);
    assert_eq!(created.count(), 1);
}

async fn damaged_field_is_named(bench: &impl Bench) {
    let store = bench.open().await;
    store.put_field(&draft(13.103, 0)).await.unwrap();
    bench.run("UPDATE ndvi_fields SET geometry = 'a square' RETURNING id").await;
    let error = store.field(&id("north-1")).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert_eq!(error.to_string(), "field north-1 in the database is damaged");
}
