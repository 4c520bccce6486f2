-- NDVI samples that others computed. The table may be there already, full, with samples twice: every
-- row stays as it is, and nothing here reads or writes them all.
SET LOCAL lock_timeout = '10s';

CREATE TABLE IF NOT EXISTS ndvi_samples (
    id bigserial PRIMARY KEY,
    farm_id uuid NOT NULL,
    "timestamp" timestamptz NOT NULL,
    mean double precision NOT NULL,
    min double precision NOT NULL,
    max double precision NOT NULL,
    source text,
    geometry jsonb,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- True for rows that are kept once; older rows and those of other writers have nothing here.
ALTER TABLE ndvi_samples ADD COLUMN IF NOT EXISTS once boolean;

-- Binds new rows alone.
ALTER TABLE ndvi_samples ADD CONSTRAINT ndvi_samples_values CHECK (
    -1 <= min AND min <= mean AND mean <= max AND max <= 1 AND isfinite("timestamp")
) NOT VALID;
