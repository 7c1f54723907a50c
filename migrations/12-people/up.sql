-- People: users, the teams they are members of, how they sign in, and what was done by whom.

CREATE TABLE team (
    id      INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice
    slug    TEXT    NOT NULL UNIQUE,
    created INTEGER NOT NULL
) STRICT;

-- What was there before belongs to the first team.
INSERT INTO team (id, slug, created) VALUES (1, 'main', 0);

CREATE TABLE user (
    id          INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice
    login       TEXT    NOT NULL UNIQUE,
    password    TEXT,                              -- argon2id, in the PHC format; none: it was not set yet
    administers INTEGER NOT NULL DEFAULT 0 CHECK (administers IN (0, 1)), -- the instance
    disabled    INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
    totp        BLOB,                              -- sealed for totp/<id>
    totp_good   INTEGER NOT NULL DEFAULT 0 CHECK (totp_good IN (0, 1)),   -- a code of it was shown
    totp_step   INTEGER NOT NULL DEFAULT 0,        -- of the last code that was taken: none is taken twice
    created     INTEGER NOT NULL,
    CHECK (totp_good = 0 OR totp IS NOT NULL)
) STRICT;

CREATE TABLE member (
    team INTEGER NOT NULL REFERENCES team (id) ON DELETE CASCADE,
    user INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    role TEXT    NOT NULL CHECK (role IN ('viewer', 'developer', 'admin', 'owner')),
    PRIMARY KEY (team, user)
) STRICT, WITHOUT ROWID;

CREATE INDEX member_user ON member (user);

CREATE TABLE session (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    user    INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    hash    BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32), -- SHA-256 of the cookie
    pending INTEGER NOT NULL CHECK (pending IN (0, 1)),        -- it waits for the second factor and opens nothing
    tries   INTEGER NOT NULL DEFAULT 0,                        -- wrong codes so far
    created INTEGER NOT NULL,
    used    INTEGER NOT NULL,
    address TEXT,
    agent   TEXT    NOT NULL
) STRICT;

CREATE INDEX session_user ON session (user);

-- Where a user has signed in from: there, nobody else's failures keep them out.
CREATE TABLE sign_in (
    user    INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    address TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (user, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE recovery_code (
    hash BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32), -- SHA-256
    user INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE
) STRICT;

CREATE INDEX recovery_code_user ON recovery_code (user);

-- One-time links. Each is used once, and then gone.
CREATE TABLE setup_link (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    hash    BLOB    NOT NULL CHECK (length(hash) = 32),
    expires INTEGER NOT NULL
) STRICT;

CREATE TABLE reset_link (
    user    INTEGER PRIMARY KEY REFERENCES user (id) ON DELETE CASCADE,
    hash    BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    forget  INTEGER NOT NULL CHECK (forget IN (0, 1)), -- the second factor goes too
    expires INTEGER NOT NULL
) STRICT;

CREATE TABLE invitation (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    team    INTEGER NOT NULL REFERENCES team (id) ON DELETE CASCADE,
    login   TEXT    NOT NULL,
    role    TEXT    NOT NULL CHECK (role IN ('viewer', 'developer', 'admin', 'owner')),
    hash    BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    by      TEXT    NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    UNIQUE (team, login)
) STRICT;

ALTER TABLE project ADD COLUMN team INTEGER REFERENCES team (id);
UPDATE project SET team = 1;
-- A column that is added may not be both a reference and never empty.
CREATE TRIGGER project_has_a_team BEFORE INSERT ON project WHEN new.team IS NULL
BEGIN SELECT RAISE(ABORT, 'a project belongs to a team'); END;
CREATE TRIGGER project_keeps_a_team BEFORE UPDATE ON project WHEN new.team IS NULL
BEGIN SELECT RAISE(ABORT, 'a project belongs to a team'); END;
CREATE INDEX project_team ON project (team);

ALTER TABLE key ADD COLUMN team INTEGER REFERENCES team (id);
UPDATE key SET team = 1;

-- None: it is the instance's own.
ALTER TABLE token ADD COLUMN user INTEGER REFERENCES user (id) ON DELETE CASCADE;
ALTER TABLE token ADD COLUMN team INTEGER REFERENCES team (id) ON DELETE CASCADE;
ALTER TABLE token ADD COLUMN address TEXT; -- where it was last used from
CREATE INDEX token_user ON token (user);
CREATE INDEX token_team ON token (team);

-- What was done. Rows are added at the end and taken away at the beginning, and nothing else: each is bound to the one
-- before it. What it names may be gone, so nothing is referred to.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    user    INTEGER,
    team    INTEGER,
    address TEXT,
    request TEXT,
    action  TEXT    NOT NULL, -- app.deleted
    object  TEXT    NOT NULL,
    before  TEXT    CHECK (json_valid(before)),
    after   TEXT    CHECK (json_valid(after)),
    hash    BLOB    NOT NULL CHECK (length(hash) = 32) -- SHA-256 of the one before and of all above
) STRICT;

CREATE INDEX audit_team ON audit (team, id);
CREATE INDEX audit_user ON audit (user, id);

-- The last row that was taken away, by which the first one that is left can be verified.
CREATE TABLE audit_start (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    last INTEGER NOT NULL,
    hash BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

INSERT INTO audit_start (id, last, hash) VALUES (1, 0, zeroblob(32));

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is not changed'); END;
CREATE TRIGGER audit_is_swept_from_its_beginning BEFORE DELETE ON audit
WHEN old.id > (SELECT last FROM audit_start)
BEGIN SELECT RAISE(ABORT, 'the audit is swept from its beginning'); END;
