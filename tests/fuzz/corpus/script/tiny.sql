--
-- PostgreSQL database dump
--

\restrict Sp6LgnjwNCHoPby5rg6fsS3wI14tNiGDZcFQwTwRW90Nay0Xk2EBjk1bc9Yo3Hd

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

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: tiny; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.tiny (
    a integer,
    b text
);


ALTER TABLE public.tiny OWNER TO postgres;

--
-- Data for Name: tiny; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.tiny (a, b) FROM stdin;
1	a\tb\\n
2	\N
\.


--
-- PostgreSQL database dump complete
--

\unrestrict Sp6LgnjwNCHoPby5rg6fsS3wI14tNiGDZcFQwTwRW90Nay0Xk2EBjk1bc9Yo3Hd

