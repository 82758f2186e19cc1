"""Returns the rows that are there, through a connection that it keeps. Changes nothing."""
from postgres import connect

_connection = None


def handle(ctx, payload):
    global _connection
    if _connection is None:
        (credentials,) = ctx["serviceBindings"].values()
        _connection = connect(credentials)
        _connection.autocommit = True
    with _connection.cursor() as cursor:
        cursor.execute("SELECT num, data FROM rows ORDER BY num")
        return [{"num": num, "data": data} for num, data in cursor.fetchall()]
