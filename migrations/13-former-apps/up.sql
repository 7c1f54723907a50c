-- Whose a deleted app was: its volumes may have been kept, and an app of another team does not get at them by its name.
CREATE TABLE former_app (
    slug TEXT    PRIMARY KEY,
    team INTEGER NOT NULL -- which may be gone by now; its number is never given twice
) STRICT, WITHOUT ROWID;
