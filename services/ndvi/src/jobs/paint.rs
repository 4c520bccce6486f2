//! How is a picture made before somebody asks for it?

use std::sync::Arc;

use chassis::clock::Now;
use jiff::civil::Date;
use picture::raster::{Size, Style};

use super::Setback;
use crate::domain::job::Job;
use crate::gallery::{Asker, Blank, Gallery, PictureAsk};
use crate::store::Store;

/// What painting in the background needs.
#[derive(Clone, Debug)]
pub struct Painter {
    /// Where fields are.
    pub store: Arc<dyn Store>,
    /// Where pictures are remembered.
    pub gallery: Gallery,
}

impl Painter {
    /// Paints one day and leaves the picture in the gallery of this process.
    pub(super) async fn paint(
        &self,
        job: &Job,
        date: Date,
        size: u32,
        max_cloud_percent: Option<f64>,
    ) -> Result<(), Setback> {
        let found = self.store.field(&job.field).await.map_err(|error| Setback::store(&error))?;
        let field = found.filter(|field| field.revision == job.revision);
        let field = field.ok_or_else(Setback::other_outline)?;
        let size = u16::try_from(size).ok().and_then(Size::new).unwrap_or_default();
        let style = Style { size, ..Style::default() };
        let ask = PictureAsk { field, date, max_cloud_percent, style };
        match self.gallery.paint(ask, Asker::Job, Now::read()).await {
            Ok(_picture) => Ok(()),
            Err(blank) => Err(setback(&blank)),
        }
    }
}

fn setback(blank: &Blank) -> Setback {
    match blank {
        Blank::Unreadable | Blank::Late | Blank::Busy | Blank::Internal => {
            Setback::Again(blank.to_string())
        }
        Blank::Nothing(_) | Blank::TooWide | Blank::Form => Setback::Never(blank.to_string()),
    }
}
