"""Writes one row into a table of its service's database and returns all rows.

The connection is kept in a module variable: the next call of the same worker uses it again. When the credentials
are rotated, Dispatch replaces the worker, so nothing here has to know.
"""
import os
import tempfile

import psycopg2

SERVICE_ROWS = "rows"
_connection = None


def connect(credentials):
    """Connects with what the binding says, and checks the server's certificate if the binding has its authority."""
    options = {
        "host": credentials["host"],
        "port": credentials["port"],
        "dbname": credentials["database"],
        "user": credentials["username"],
        "password": credentials["password"],
        "connect_timeout": 5,
    }
    authority = credentials.get("caCertificate")
    if authority:
        descriptor, path = tempfile.mkstemp(suffix=".pem")
        with os.fdopen(descriptor, "w") as file:
            file.write(authority)
        options.update(sslmode="verify-full", sslrootcert=path)
    elif credentials.get("sslRequired") == "true":
        options["sslmode"] = "require"
    return psycopg2.connect(**options)


def handle(ctx, payload):
    global _connection
    if _connection is None or _connection.closed:
        # One service was given to this function, under whatever name.
        (credentials,) = ctx["serviceBindings"].values()
        _connection = connect(credentials)
    # "with" commits when the block ends well and rolls back when it does not.
    with _connection, _connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {SERVICE_ROWS} (num integer, data text)")
        if payload.get("num") is not None:
            cursor.execute(
                f"INSERT INTO {SERVICE_ROWS} (num, data) VALUES (%s, %s)",
                (payload["num"], payload["data"]),
            )
        cursor.execute(f"SELECT num, data FROM {SERVICE_ROWS} ORDER BY num")
        rows = cursor.fetchall()
        for num, data in rows:
            print(f"num: {num}, data: {data}")
        return [{"num": num, "data": data} for num, data in rows]
