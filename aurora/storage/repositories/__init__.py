"""All queries of the runtime. A repository speaks for one tenant within one transaction."""
