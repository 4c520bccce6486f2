-- The columns that are read, as the migrations of the operator's Django make them.
CREATE TABLE auth_user (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, username VARCHAR(150) NOT NULL UNIQUE,
    is_active TINYINT(1) NOT NULL);
CREATE TABLE api_keys_apikey (
    id CHAR(32) NOT NULL PRIMARY KEY, name VARCHAR(100) NOT NULL, key_hash VARCHAR(128) NOT NULL,
    prefix VARCHAR(12) NOT NULL, last4 VARCHAR(4) NOT NULL, scope VARCHAR(16) NOT NULL,
    created_at DATETIME(6) NOT NULL, last_used_at DATETIME(6) NULL, expires_at DATETIME(6) NULL,
    revoked_at DATETIME(6) NULL, user_id INT NOT NULL, KEY (prefix, last4));
INSERT INTO auth_user VALUES (1, 'bench', 1);
