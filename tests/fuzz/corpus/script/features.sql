--
-- PostgreSQL database dump
--

\restrict ET3Pfeu1exSabkzd9p7Gf5HZGnurGWU1bVglTWjzQqWEpxc9QO8TxG7i4bcHmK0

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: Sch "ema; Type: SCHEMA; Schema: -; Owner: postgres
--

CREATE SCHEMA "Sch ""ema";


ALTER SCHEMA "Sch ""ema" OWNER TO postgres;

--
-- Name: handles(); Type: FUNCTION; Schema: public; Owner: postgres
--

CREATE FUNCTION public.handles() RETURNS language_handler
    LANGUAGE c
    AS '$libdir/plpgsql', 'plpgsql_call_handler';


ALTER FUNCTION public.handles() OWNER TO postgres;

--
-- Name: other; Type: PROCEDURAL LANGUAGE; Schema: -; Owner: postgres
--

CREATE PROCEDURAL LANGUAGE other HANDLER public.handles;


ALTER PROCEDURAL LANGUAGE other OWNER TO postgres;

--
-- Name: plain_c; Type: COLLATION; Schema: public; Owner: postgres
--

CREATE COLLATION public.plain_c (provider = libc, locale = 'C');


ALTER COLLATION public.plain_c OWNER TO postgres;

--
-- Name: TRANSFORM FOR integer LANGUAGE sql; Type: TRANSFORM; Schema: -; Owner: -
--

CREATE TRANSFORM FOR integer LANGUAGE sql (FROM SQL WITH FUNCTION pg_catalog.prsd_lextype(internal), TO SQL WITH FUNCTION pg_catalog.int4recv(internal));


--
-- Name: mood; Type: TYPE; Schema: public; Owner: postgres
--

CREATE TYPE public.mood AS ENUM (
    'sad',
    'it''s ok',
    'back\slash'
);


ALTER TYPE public.mood OWNER TO postgres;

--
-- Name: pair; Type: TYPE; Schema: public; Owner: postgres
--

CREATE TYPE public.pair AS (
	a integer,
	"b b" text
);


ALTER TYPE public.pair OWNER TO postgres;

--
-- Name: positive; Type: DOMAIN; Schema: public; Owner: postgres
--

CREATE DOMAIN public.positive AS integer DEFAULT 7
	CONSTRAINT positive_check CHECK ((VALUE > 0));


ALTER DOMAIN public.positive OWNER TO postgres;

--
-- Name: span; Type: TYPE; Schema: public; Owner: postgres
--

CREATE TYPE public.span AS RANGE (
    subtype = double precision,
    multirange_type_name = public.span_multirange
);


ALTER TYPE public.span OWNER TO postgres;

--
-- Name: CAST (macaddr AS jsonb); Type: CAST; Schema: -; Owner: -
--

CREATE CAST (macaddr AS jsonb) WITH INOUT;


--
-- Name: atomic(integer); Type: FUNCTION; Schema: public; Owner: postgres
--

CREATE FUNCTION public.atomic(n integer) RETURNS integer
    LANGUAGE sql
    BEGIN ATOMIC
 SELECT
         CASE
             WHEN (n > 0) THEN
             CASE n
                 WHEN 1 THEN 2
                 ELSE 3
             END
             ELSE ( SELECT 4)
         END;
 SELECT (length('; end'::text) + 1);
END;


ALTER FUNCTION public.atomic(n integer) OWNER TO postgres;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: one; Type: TABLE; Schema: public; Owner: Load Owner
--

CREATE TABLE public.one (
    c text
);


ALTER TABLE public.one OWNER TO "Load Owner";

--
-- Name: TABLE one; Type: COMMENT; Schema: public; Owner: Load Owner
--

COMMENT ON TABLE public.one IS 'it''s a "comment" \! touch x
\.
-- PostgreSQL database dump complete
';


--
-- Name: begin(integer); Type: PROCEDURE; Schema: public; Owner: postgres
--

CREATE PROCEDURE public.begin(IN x integer)
    LANGUAGE sql
    BEGIN ATOMIC
 INSERT INTO public.one (c)
   VALUES ('p'::text);
 SELECT 1;
END;


ALTER PROCEDURE public.begin(IN x integer) OWNER TO postgres;

--
-- Name: body(); Type: FUNCTION; Schema: public; Owner: postgres
--

CREATE FUNCTION public.body() RETURNS text
    LANGUAGE plpgsql
    AS $_$
BEGIN
    -- COPY x FROM stdin;
    RETURN 'a;' || $q$b;$q$;
END
$_$;


ALTER FUNCTION public.body() OWNER TO postgres;

--
-- Name: FUNCTION body(); Type: COMMENT; Schema: public; Owner: postgres
--

COMMENT ON FUNCTION public.body() IS '$$;/*';


--
-- Name: lines(); Type: FUNCTION; Schema: public; Owner: postgres
--

CREATE FUNCTION public.lines() RETURNS text
    LANGUAGE sql
    AS $$
SELECT '
COPY one (c) FROM stdin;
x
\.
\! touch x
'::text;
$$;


ALTER FUNCTION public.lines() OWNER TO postgres;

--
-- Name: noted(); Type: FUNCTION; Schema: public; Owner: postgres
--

CREATE FUNCTION public.noted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$BEGIN INSERT INTO log VALUES ('n'); RETURN NEW; END$$;


ALTER FUNCTION public.noted() OWNER TO postgres;

--
-- Name: tells(integer, integer); Type: FUNCTION; Schema: public; Owner: postgres
--

CREATE FUNCTION public.tells(integer, integer) RETURNS boolean
    LANGUAGE sql
    AS $_$SELECT $1 = $2$_$;


ALTER FUNCTION public.tells(integer, integer) OWNER TO postgres;

--
-- Name: watched(); Type: FUNCTION; Schema: public; Owner: postgres
--

CREATE FUNCTION public.watched() RETURNS event_trigger
    LANGUAGE plpgsql
    AS $$BEGIN END$$;


ALTER FUNCTION public.watched() OWNER TO postgres;

--
-- Name: total(integer); Type: AGGREGATE; Schema: public; Owner: postgres
--

CREATE AGGREGATE public.tota