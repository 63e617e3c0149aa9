-- What a restore meets of TimescaleDB: configuration tables with keys among themselves and rows of their own, a trigger that takes no row
-- twice, tables that are nobody's child without the catalog's rows, and a setting that holds all of it off.
CREATE SCHEMA _timescaledb_catalog;
CREATE SCHEMA _timescaledb_functions;
CREATE SCHEMA _timescaledb_internal;
GRANT USAGE ON SCHEMA _timescaledb_catalog, _timescaledb_functions, _timescaledb_internal TO PUBLIC;

CREATE TABLE _timescaledb_catalog.hypertable (
    id serial PRIMARY KEY, schema_name name NOT NULL, table_name name NOT NULL, compressed_id int REFERENCES _timescaledb_catalog.hypertable
);
CREATE TABLE _timescaledb_catalog.chunk (
    id serial PRIMARY KEY, hypertable_id int NOT NULL REFERENCES _timescaledb_catalog.hypertable, table_name name NOT NULL
);
CREATE TABLE _timescaledb_catalog.metadata (key name PRIMARY KEY, value text NOT NULL);
-- Of no dump: who told the extension what.
CREATE TABLE _timescaledb_catalog.told (at serial, what text);
GRANT SELECT ON ALL TABLES IN SCHEMA _timescaledb_catalog TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_catalog.hypertable', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_catalog.hypertable_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_catalog.chunk', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_catalog.chunk_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('_timescaledb_catalog.metadata', '');

CREATE FUNCTION _timescaledb_functions.metadata_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM _timescaledb_catalog.metadata m WHERE m.key = NEW.key) THEN
        UPDATE _timescaledb_catalog.metadata m SET value = NEW.value WHERE m.key = NEW.key;
        RETURN NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER metadata_insert BEFORE INSERT ON _timescaledb_catalog.metadata
    FOR EACH ROW EXECUTE FUNCTION _timescaledb_functions.metadata_insert();
INSERT INTO _timescaledb_catalog.metadata VALUES ('uuid', pg_catalog.gen_random_uuid()::text), ('install_timestamp', pg_catalog.now()::text);

CREATE FUNCTION _timescaledb_functions.recognize() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
    made record;
BEGIN
    IF pg_catalog.current_setting('timescaledb.restoring', true) = 'on' THEN
        RETURN;
    END IF;
    FOR made IN SELECT i.inhparent::pg_catalog.regclass AS parent
            FROM pg_catalog.pg_event_trigger_ddl_commands() m JOIN pg_catalog.pg_inherits i ON i.inhrelid = m.objid
            JOIN pg_catalog.pg_class c ON c.oid = i.inhparent
            WHERE m.schema_name = '_timescaledb_internal'
              AND NOT EXISTS (SELECT FROM _timescaledb_catalog.hypertable h WHERE h.table_name = c.relname) LOOP
        RAISE EXCEPTION 'table "%" is not a hypertable', made.parent;
    END LOOP;
END $$;
CREATE EVENT TRIGGER recognize ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION _timescaledb_functions.recognize();

CREATE FUNCTION _timescaledb_functions.insert_blocker() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'invalid INSERT on the root table of hypertable "%"', TG_TABLE_NAME;
END $$;

CREATE FUNCTION @extschema@.create_hypertable(relation regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    hypertable int;
    chunk text;
BEGIN
    INSERT INTO _timescaledb_catalog.hypertable (schema_name, table_name)
        SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation
        RETURNING id INTO hypertable;
    chunk := format('_hyper_%s_1_chunk', hypertable);
    EXECUTE format('CREATE TABLE _timescaledb_internal.%I () INHERITS (%s)', chunk, relation);
    INSERT INTO _timescaledb_catalog.chunk (hypertable_id, table_name) VALUES (hypertable, chunk);
    EXECUTE format('CREATE TRIGGER ts_insert_blocker BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION _timescaledb_functions.insert_blocker()', relation);
    RETURN '_timescaledb_internal.' || chunk;
END $$;

CREATE FUNCTION @extschema@.timescaledb_pre_restore() RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET timescaledb.restoring = %L', current_database(), 'on');
    SET SESSION timescaledb.restoring = 'on';
    INSERT INTO _timescaledb_catalog.told (what) VALUES ('before');
    RETURN true;
END $$;
CREATE FUNCTION @extschema@.timescaledb_post_restore() RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER DATABASE %I RESET timescaledb.restoring', current_database());
    SET SESSION timescaledb.restoring = 'off';
    INSERT INTO _timescaledb_catalog.told (what) VALUES ('after');
    RETURN true;
END $$;
REVOKE ALL ON FUNCTION @extschema@.timescaledb_pre_restore(), @extschema@.timescaledb_post_restore() FROM PUBLIC;
