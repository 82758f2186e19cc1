"""Says hello."""


def handle(ctx, payload):
    name = (payload or {}).get("name", "Noone")
    print(f"saying hello to {name}")
    return {"myField": f"Hello, {name}"}
