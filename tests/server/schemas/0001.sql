CREATE TABLE access_requests (
    id INTEGER NOT NULL,
    repository_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    status VARCHAR(8) NOT NULL,
    fields JSON NOT NULL,
    reason TEXT,
    granted BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_access_requests PRIMARY KEY (id),
    CONSTRAINT uq_access_requests_repository_id_account_id UNIQUE (repository_id, account_id),
    CONSTRAINT fk_access_requests_repository_id FOREIGN KEY(repository_id) REFERENCES repositories (id) ON DELETE CASCADE,
    CONSTRAINT fk_access_requests_account_id FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);

CREATE TABLE accounts (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind VARCHAR(8) NOT NULL,
    name VARCHAR(96) NOT NULL,
    "key" VARCHAR(96) NOT NULL,
    fullname VARCHAR(200) NOT NULL,
    email VARCHAR(320),
    password VARCHAR(200),
    administrator BOOLEAN NOT NULL,
    disabled BOOLEAN NOT NULL,
    private_by_default BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT uq_accounts_key UNIQUE ("key")
);

CREATE TABLE attachments (
    sha256 BLOB NOT NULL,
    account_id INTEGER,
    media_type VARCHAR(32) NOT NULL,
    size BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_attachments PRIMARY KEY (sha256),
    CONSTRAINT fk_attachments_account_id FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE SET NULL
);

CREATE TABLE audit_log (
    id INTEGER NOT NULL,
    at BIGINT NOT NULL,
    action VARCHAR(64) NOT NULL,
    actor_id BIGINT,
    actor VARCHAR(96) NOT NULL,
    token VARCHAR(200) NOT NULL,
    address VARCHAR(64) NOT NULL,
    details JSON NOT NULL,
    CONSTRAINT pk_audit_log PRIMARY KEY (id)
);

CREATE TABLE blobs (
    sha256 BLOB NOT NULL,
    size BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_blobs PRIMARY KEY (sha256)
);

CREATE TABLE comment_versions (
    id INTEGER NOT NULL,
    event_id INTEGER NOT NULL,
    author_id INTEGER,
    created_at BIGINT NOT NULL,
    raw TEXT NOT NULL,
    html TEXT NOT NULL,
    rendered_by SMALLINT NOT NULL,
    CONSTRAINT pk_comment_versions PRIMARY KEY (id),
    CONSTRAINT fk_comment_versions_event_id FOREIGN KEY(event_id) REFERENCES discussion_events (id) ON DELETE CASCADE,
    CONSTRAINT fk_comment_versions_author_id FOREIGN KEY(author_id) REFERENCES accounts (id) ON DELETE SET NULL
);

CREATE TABLE device_logins (
    id INTEGER NOT NULL,
    hash VARCHAR(64) NOT NULL,
    user_code VARCHAR(9) NOT NULL,
    address VARCHAR(64) NOT NULL,
    agent VARCHAR(200) NOT NULL,
    status VARCHAR(8) NOT NULL,
    account_id INTEGER,
    role VARCHAR(12),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    polled_at BIGINT NOT NULL,
    CONSTRAINT pk_device_logins PRIMARY KEY (id),
    CONSTRAINT uq_device_logins_hash UNIQUE (hash),
    CONSTRAINT uq_device_logins_user_code UNIQUE (user_code),
    CONSTRAINT fk_device_logins_account_id FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);

CREATE TABLE discussion_events (
    id INTEGER NOT NULL,
    discussion_id INTEGER NOT NULL,
    kind VARCHAR(16) NOT NULL,
    author_id INTEGER,
    created_at BIGINT NOT NULL,
    data JSON NOT NULL,
    hidden BOOLEAN NOT NULL,
    CONSTRAINT pk_discussion_events PRIMARY KEY (id),
    CONSTRAINT fk_discussion_events_discussion_id FOREIGN KEY(discussion_id) REFERENCES discussions (id) ON DELETE CASCADE,
    CONSTRAINT fk_discussion_events_author_id FOREIGN KEY(author_id) REFERENCES accounts (id) ON DELETE SET NULL
);

CREATE TABLE discussions (
    id INTEGER NOT NULL,
    repository_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    is_pull_request BOOLEAN NOT NULL,
    title VARCHAR(200) NOT NULL,
    status VARCHAR(8) NOT NULL,
    author_id INTEGER,
    created_at BIGINT NOT NULL,
    weight BIGINT NOT NULL,
    head BLOB,
    merge_commit BLOB,
    merge_base BLOB,
    CONSTRAINT pk_discussions PRIMARY KEY (id),
    CONSTRAINT uq_discussions_repository_id_number UNIQUE (repository_id, number),
    CONSTRAINT fk_discussions_repository_id FOREIGN KEY(repository_id) REFERENCES repositories (id) ON DELETE CASCADE,
    CONSTRAINT fk_discussions_author_id FOREIGN KEY(author_id) REFERENCES accounts (id) ON DELETE SET NULL
);

CREATE TABLE downloads (
    repository_id INTEGER NOT NULL,
    day INTEGER NOT NULL,
    count BIGINT NOT NULL,
    CONSTRAINT pk_downloads PRIMARY KEY (repository_id, day),
    CONSTRAINT fk_downloads_repository_id FOREIGN KEY(repository_id) REFERENCES repositories (id) ON DELETE CASCADE
);

CREATE TABLE facts (
    name VARCHAR(64) NOT NULL,
    value TEXT NOT NULL,
    CONSTRAINT pk_facts PRIMARY KEY (name)
);

CREATE TABLE likes (
    account_id INTEGER NOT NULL,
    repository_id INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_likes PRIMARY KEY (account_id, repository_id),
    CONSTRAINT fk_likes_account_id FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT fk_likes_repository_id FOREIGN KEY(repository_id) REFERENCES repositories (id) ON DELETE CASCADE
);

CREATE TABLE links (
    id INTEGER NOT NULL,
    purpose VARCHAR(8) NOT NULL,
    hash VARCHAR(64) NOT NULL,
    account_id INTEGER,
    administrator BOOLEAN NOT NULL,
    organisation_id INTEGER,
    role VARCHAR(12),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    CONSTRAINT pk_links PRIMARY KEY (id),
    CONSTRAINT uq_links_hash UNIQUE (hash),
    CONSTRAINT fk_links_account_id FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT fk_links_organisation_id FOREIGN KEY(organisation_id) REFERENCES accounts (id) ON DELETE CASCADE
);

CREATE TABLE members (
    organisation_id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    role VARCHAR(12) NOT NULL,
    CONSTRAINT pk_members PRIMARY KEY (organisation_id, account_id),
    CONSTRAINT fk_members_organisation_id FOREIGN KEY(organisation_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT fk_members_account_id FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);

CREATE TABLE objects (
    repository_id INTEGER NOT NULL,
    oid BLOB NOT NULL,
    kind SMALLINT NOT NULL,
    size BIGINT NOT NULL,
    data BLOB NOT NULL,
    CONSTRAINT pk_objects PRIMARY KEY (repository_id, oid),
    CONSTRAINT fk_objects_repository_id FOREIGN KEY(repository_id) REFERENCES repositories (id) ON DELETE CASCADE
);

CREATE TABLE redirects (
    type VARCHAR(8) NOT NULL,
    "key" VARCHAR(200) NOT NULL,
    repository_id INTEGER NOT NULL,
    CONSTRAINT pk_redirects PRIMARY KEY (type, "key"),
    CONSTRAINT fk_redirects_repository_id FOREIGN KEY(repository_id) REFERENCES repositories (id) ON DELETE CASCADE
);

CREATE TABLE refs (
    repository_id INTEGER NOT NULL,
    name VARCHAR(512) NOT NULL,
    target BLOB NOT NULL,
    CONSTRAINT pk_refs PRIMARY KEY (repository_id, name),
    CONSTRAINT fk_refs_repository_id FOREIGN KEY(repository_id) REFERENCES repositories (id) ON DELETE CASCADE
);

CREATE TABLE repositories (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    type VARCHAR(8) NOT NULL,
    owner_id INTEGER NOT NULL,
    creator_id INTEGER,
    name VARCHAR(200) NOT NULL,
    "key" VARCHAR(200) NOT NULL,
    private BOOLEAN NOT NULL,
    protected BOOLEAN NOT NULL,
    gated VARCHAR(8) NOT NULL,
    disabled BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    head BLOB,
    card JSON NOT NULL,
    config JSON NOT NULL,
    tags JSON NOT NULL,
    pipeline_tag VARCHAR(96),
    library_name VARCHAR(96),
    sdk VARCHAR(24),
    safetensors JSON,
    parameters BIGINT,
    used_storage BIGINT NOT NULL,
    likes BIGINT NOT NULL,
    downloads BIGINT NOT NULL,
    downloads_all_time BIGINT NOT NULL,
    trending FLOAT NOT NULL,
    CONSTRAINT uq_repositories_type_key UNIQUE (type, "key"),
    CONSTRAINT fk_repositories_owner_id FOREIGN KEY(owner_id) REFERENCES accounts (id),
    CONSTRAINT fk_repositories_creator_id FOREIGN KEY(creator_id) REFERENCES accounts (id) ON DELETE SET NULL
);

CREATE TABLE repository_blobs (
    repository_id INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    uploaded_by INTEGER,
    uploaded_at BIGINT NOT NULL,
    CONSTRAINT pk_repository_blobs PRIMARY KEY (repository_id, sha256),
    CONSTRAINT fk_repository_blobs_repository_id FOREIGN KEY(repository_id) REFERENCES repositories (id) ON DELETE CASCADE,
    CONSTRAINT fk_repository_blobs_sha256 FOREIGN KEY(sha256) REFERENCES blobs (sha256),
    CONSTRAINT fk_repository_blobs_uploaded_by FOREIGN KEY(uploaded_by) REFERENCES accounts (id) ON DELETE SET NULL
);

CREATE VIRTUAL TABLE search_grams USING fts5(grams, content='', detail='none', columnsize=0, tokenize='ascii');

CREATE TABLE search_pairs (
    term_id INTEGER NOT NULL,
    other_id INTEGER NOT NULL,
    public BIGINT NOT NULL,
    CONSTRAINT pk_search_pairs PRIMARY KEY (term_id, other_id),
    CONSTRAINT fk_search_pairs_term_id FOREIGN KEY(term_id) REFERENCES search_terms (id),
    CONSTRAINT fk_search_pairs_other_id FOREIGN KEY(other_id) REFERENCES search_terms (id)
)
 WITHOUT ROWID;

CREATE TABLE search_postings (
    term_id INTEGER NOT NULL,
    repository_id INTEGER NOT NULL,
    private BOOLEAN NOT NULL,
    modified_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    downloads BIGINT NOT NULL,
    likes BIGINT NOT NULL,
    trending FLOAT NOT NULL,
    CONSTRAINT pk_search_postings PRIMARY KEY (term_id, repository_id),
    CONSTRAINT fk_search_postings_term_id FOREIGN KEY(term_id) REFERENCES search_terms (id),
    CONSTRAINT fk_search_postings_repository_id FOREIGN KEY(repository_id) REFERENCES repositories (id)
)
 WITHOUT ROWID;

CREATE TABLE search_terms (
    id INTEGER NOT NULL,
    type VARCHAR(8) NOT NULL,
    field VARCHAR(8) NOT NULL,
    name VARCHAR(256) NOT NULL,
    kind VARCHAR(24) NOT NULL,
    public BIGINT NOT NULL,
    hidden BIGINT NOT NULL,
    CONSTRAINT pk_search_terms PRIMARY KEY (id),
    CONSTRAINT uq_search_terms_type_field_name UNIQUE (type, field, name)
);

CREATE TABLE search_texts (
    repository_id INTEGER NOT NULL,
    name VARCHAR(200) NOT NULL,
    text TEXT NOT NULL,
    CONSTRAINT pk_search_texts PRIMARY KEY (repository_id),
    CONSTRAINT fk_search_texts_repository_id FOREIGN KEY(repository_id) REFERENCES repositories (id)
);

CREATE TABLE sessions (
    id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    hash VARCHAR(64) NOT NULL,
    agent VARCHAR(200) NOT NULL,
    address VARCHAR(64) NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    CONSTRAINT pk_sessions PRIMARY KEY (id),
    CONSTRAINT fk_sessions_account_id FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT uq_sessions_hash UNIQUE (hash)
);

CREATE TABLE tasks (
    name VARCHAR(64) NOT NULL,
    next_at BIGINT NOT NULL,
    holder VARCHAR(64),
    held_until BIGINT NOT NULL,
    state JSON NOT NULL,
    ran_at BIGINT,
    error TEXT,
    CONSTRAINT pk_tasks PRIMARY KEY (name)
);

CREATE TABLE tensor_headers (
    sha256 BLOB NOT NULL,
    parameters JSON NOT NULL,
    CONSTRAINT pk_tensor_headers PRIMARY KEY (sha256),
    CONSTRAINT fk_tensor_headers_sha256 FOREIGN KEY(sha256) REFERENCES blobs (sha256) ON DELETE CASCADE
);

CREATE TABLE tokens (
    id INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    name VARCHAR(200) NOT NULL,
    hash VARCHAR(64) NOT NULL,
    role VARCHAR(12) NOT NULL,
    scopes JSON NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT,
    expires_at BIGINT,
    refresh_hash VARCHAR(64),
    previous_hash VARCHAR(64),
    previous_until BIGINT,
    CONSTRAINT pk_tokens PRIMARY KEY (id),
    CONSTRAINT fk_tokens_account_id FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT uq_tokens_hash UNIQUE (hash),
    CONSTRAINT uq_tokens_refresh_hash UNIQUE (refresh_hash),
    CONSTRAINT uq_tokens_previous_hash UNIQUE (previous_hash)
);

CREATE TABLE xet_file_xorbs (
    sha256 BLOB NOT NULL,
    xorb BLOB NOT NULL,
    position INTEGER NOT NULL,
    CONSTRAINT pk_xet_file_xorbs PRIMARY KEY (sha256, xorb),
    CONSTRAINT fk_xet_file_xorbs_sha256 FOREIGN KEY(sha256) REFERENCES blobs (sha256) ON DELETE CASCADE,
    CONSTRAINT fk_xet_file_xorbs_xorb FOREIGN KEY(xorb) REFERENCES xet_xorbs (hash) ON DELETE CASCADE
);

CREATE TABLE xet_generations (
    account_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    CONSTRAINT pk_xet_generations PRIMARY KEY (account_id),
    CONSTRAINT fk_xet_generations_account_id FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);

CREATE TABLE xet_known_chunks (
    chunk BLOB NOT NULL,
    xorb BLOB NOT NULL,
    CONSTRAINT pk_xet_known_chunks PRIMARY KEY (chunk, xorb),
    CONSTRAINT fk_xet_known_chunks_xorb FOREIGN KEY(xorb) REFERENCES xet_xorbs (hash) ON DELETE CASCADE
);

CREATE TABLE xet_places (
    xorb BLOB NOT NULL,
    first INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    start BIGINT NOT NULL,
    CONSTRAINT pk_xet_places PRIMARY KEY (xorb, first),
    CONSTRAINT fk_xet_places_xorb FOREIGN KEY(xorb) REFERENCES xet_xorbs (hash) ON DELETE CASCADE,
    CONSTRAINT fk_xet_places_sha256 FOREIGN KEY(sha256) REFERENCES blobs (sha256) ON DELETE CASCADE
);

CREATE TABLE xet_senders (
    xorb BLOB NOT NULL,
    account_id INTEGER NOT NULL,
    repository_id INTEGER,
    sent_at BIGINT NOT NULL,
    CONSTRAINT pk_xet_senders PRIMARY KEY (xorb, account_id),
    CONSTRAINT fk_xet_senders_xorb FOREIGN KEY(xorb) REFERENCES xet_xorbs (hash) ON DELETE CASCADE,
    CONSTRAINT fk_xet_senders_account_id FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE,
    CONSTRAINT fk_xet_senders_repository_id FOREIGN KEY(repository_id) REFERENCES repositories (id) ON DELETE SET NULL
);

CREATE TABLE xet_xorbs (
    hash BLOB NOT NULL,
    size INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    lengths BLOB NOT NULL,
    staged BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_xet_xorbs PRIMARY KEY (hash)
);

CREATE INDEX ix_attachments_account_id ON attachments (account_id);

CREATE INDEX ix_comment_versions_event_id ON comment_versions (event_id);

CREATE INDEX ix_discussion_events_discussion_id ON discussion_events (discussion_id);

CREATE INDEX ix_discussions_author_id ON discussions (author_id);

CREATE INDEX ix_likes_repository_id ON likes (repository_id);

CREATE INDEX ix_links_account_id ON links (account_id);

CREATE INDEX ix_links_organisation_id ON links (organisation_id);

CREATE INDEX ix_members_account_id ON members (account_id);

CREATE INDEX ix_objects_commits ON objects (repository_id) WHERE kind = 1;

CREATE INDEX ix_objects_repository_id_size ON objects (repository_id, size);

CREATE INDEX ix_redirects_repository_id ON redirects (repository_id);

CREATE INDEX ix_repositories_owner_id ON repositories (owner_id);

CREATE INDEX ix_repository_blobs_sha256 ON repository_blobs (sha256);

CREATE INDEX ix_search_postings_created_at ON search_postings (term_id, private, created_at, repository_id);

CREATE INDEX ix_search_postings_downloads ON search_postings (term_id, private, downloads, repository_id);

CREATE INDEX ix_search_postings_likes ON search_postings (term_id, private, likes, repository_id);

CREATE INDEX ix_search_postings_modified_at ON search_postings (term_id, private, modified_at, repository_id);

CREATE INDEX ix_search_postings_repository ON search_postings (repository_id, term_id);

CREATE INDEX ix_search_postings_trending ON search_postings (term_id, private, trending, repository_id);

CREATE INDEX ix_search_terms_facets ON search_terms (type, kind, public);

CREATE INDEX ix_sessions_account_id ON sessions (account_id);

CREATE INDEX ix_tokens_account_id ON tokens (account_id);

CREATE INDEX ix_xet_file_xorbs_xorb ON xet_file_xorbs (xorb);

CREATE INDEX ix_xet_known_chunks_xorb ON xet_known_chunks (xorb);

CREATE INDEX ix_xet_places_sha256 ON xet_places (sha256);

CREATE INDEX ix_xet_senders_recent ON xet_senders (account_id, repository_id, sent_at);

CREATE INDEX ix_xet_senders_repository_id ON xet_senders (repository_id);

CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
