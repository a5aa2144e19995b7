CREATE TABLE public.agent_messages (
    id integer NOT NULL,
    session_id character varying NOT NULL,
    message_data text NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);
CREATE SEQUENCE public.agent_messages_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.agent_messages_id_seq OWNED BY public.agent_messages.id;
CREATE TABLE public.agent_sessions (
    session_id character varying NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);
ALTER TABLE ONLY public.agent_messages ALTER COLUMN id SET DEFAULT nextval('public.agent_messages_id_seq'::regclass);
COPY public.agent_messages (id, session_id, message_data, created_at) FROM stdin;
1	s1	{"content":"one","role":"user"}	2026-11-28 06:16:29.658795
2	s1	{"arguments":"{}","call_id":"call_1","name":"weather","type":"function_call","id":"fc_1"}	2026-11-28 06:16:29.798936
3	s1	{"call_id":"call_1","output":"sunny","type":"function_call_output"}	2026-11-28 06:16:29.798936
4	s1	{"id":"msg_3","content":[{"annotations":[],"text":"saw 3","type":"output_text"}],"role":"assistant","status":"completed","type":"message"}	2026-11-28 06:16:29.885569
5	s1	{"content":"two","role":"user"}	2026-11-28 06:16:29.93792
6	s1	{"arguments":"{}","call_id":"call_5","name":"weather","type":"function_call","id":"fc_5"}	2026-11-28 06:16:29.996754
7	s1	{"call_id":"call_5","output":"sunny","type":"function_call_output"}	2026-11-28 06:16:29.996754
8	s1	{"id":"msg_7","content":[{"annotations":[],"text":"saw 7","type":"output_text"}],"role":"assistant","status":"completed","type":"message"}	2026-11-28 06:16:30.056094
9	s1	{"content":"three","role":"user"}	2026-11-28 06:16:30.120628
10	s1	{"arguments":"{}","call_id":"call_9","name":"weather","type":"function_call","id":"fc_9"}	2026-11-28 06:16:30.185588
11	s1	{"call_id":"call_9","output":"sunny","type":"function_call_output"}	2026-11-28 06:16:30.185588
12	s1	{"id":"msg_11","content":[{"annotations":[],"text":"saw 11","type":"output_text"}],"role":"assistant","status":"completed","type":"message"}	2026-11-28 06:16:30.228873
13	other	{"content":"zero","role":"user"}	2026-11-28 06:17:03.155031
14	other	{"arguments":"{}","call_id":"call_1","name":"weather","type":"function_call","id":"fc_1"}	2026-11-28 06:17:03.236644
15	other	{"call_id":"call_1","output":"sunny","type":"function_call_output"}	2026-11-28 06:17:03.236644
16	other	{"id":"msg_3","content":[{"annotations":[],"text":"saw 3","type":"output_text"}],"role":"assistant","status":"completed","type":"message"}	2026-11-28 06:17:03.287523
\.
COPY public.agent_sessions (session_id, created_at, updated_at) FROM stdin;
s1	2026-11-28 06:16:29.658795	2026-11-28 06:16:30.228873
other	2026-11-28 06:17:03.155031	2026-11-28 06:17:03.287523
\.
SELECT pg_catalog.setval('public.agent_messages_id_seq', 16, true);
ALTER TABLE ONLY public.agent_messages
    ADD CONSTRAINT agent_messages_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.agent_sessions
    ADD CONSTRAINT agent_sessions_pkey PRIMARY KEY (session_id);
CREATE INDEX idx_agent_messages_session_time ON public.agent_messages USING btree (session_id, created_at);
ALTER TABLE ONLY public.agent_messages
    ADD CONSTRAINT agent_messages_session_id_fkey FOREIGN KEY (session_id) REFERENCES public.agent_sessions(session_id) ON DELETE CASCADE;
