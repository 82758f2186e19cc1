"""A service broker as somebody else would write one, on PyPI's openbrokerapi: notebooks, kept in memory.

Plan `quick` answers at once, plan `slow` works for a while and tells how far it is. Run: broker.py PORT USER PASSWORD.
"""
import sys
import threading
import time
import uuid

from flask import Flask, jsonify
from openbrokerapi import errors
from openbrokerapi.api import get_blueprint, ServiceBroker
from openbrokerapi.auth import BrokerCredentials
from openbrokerapi.catalog import ServicePlan
from openbrokerapi.log_util import basic_config
from openbrokerapi.service_broker import (
    Binding, BindState, DeprovisionServiceSpec, LastOperation, OperationState, ProvisionedServiceSpec,
    ProvisionState, Service, UnbindSpec,
)

SERVICE, QUICK, SLOW = "9e0c1f3a-notebook", "9e0c1f3a-quick", "9e0c1f3a-slow"
SECONDS = 1.5


class Notebooks(ServiceBroker):
    def __init__(self):
        self.lock = threading.Lock()
        self.instances = {}
        self.bindings = {}

    def catalog(self):
        return Service(
            id=SERVICE, name="notebook", description="somewhere to write things down", bindable=True,
            plans=[
                ServicePlan(id=QUICK, name="quick", description="at once"),
                ServicePlan(id=SLOW, name="slow", description="takes a while"),
            ],
        )

    def provision(self, instance_id, details, async_allowed, **kwargs):
        with self.lock:
            known = self.instances.get(instance_id)
            if known and known["plan"] != details.plan_id:
                raise errors.ErrInstanceAlreadyExists()
            if known:
                return ProvisionedServiceSpec(state=ProvisionState.IDENTICAL_ALREADY_EXISTS)
            slow = details.plan_id == SLOW
            if slow and not async_allowed:
                raise errors.ErrAsyncRequired()
            ready = time.monotonic() + (SECONDS if slow else 0)
            self.instances[instance_id] = {"plan": details.plan_id, "ready": ready}
        if slow:
            return ProvisionedServiceSpec(state=ProvisionState.IS_ASYNC, operation="binding the pages")
        return ProvisionedServiceSpec(state=ProvisionState.SUCCESSFUL_CREATED)

    def last_operation(self, instance_id, operation_data, **kwargs):
        with self.lock:
            left = self.instances[instance_id]["ready"] - time.monotonic()
        if left > 0:
            return LastOperation(OperationState.IN_PROGRESS, f"{operation_data}: {left:.1f} s to go")
        return LastOperation(OperationState.SUCCEEDED, "bound in leather")

    def bind(self, instance_id, binding_id, details, async_allowed, **kwargs):
        with self.lock:
            if instance_id not in self.instances:
                raise errors.ErrInstanceDoesNotExist()
            known = binding_id in self.bindings
            pencil = self.bindings.setdefault(binding_id, f"pencil-{uuid.uuid4()}")
        state = BindState.IDENTICAL_ALREADY_EXISTS if known else BindState.SUCCESSFUL_BOUND
        return Binding(state=state, credentials={"notebook": instance_id, "pencil": pencil, "pages": 40})

    def unbind(self, instance_id, binding_id, details, async_allowed, **kwargs):
        with self.lock:
            if self.bindings.pop(binding_id, None) is None:
                raise errors.ErrBindingDoesNotExist()
        return UnbindSpec(is_async=False)

    def deprovision(self, instance_id, details, async_allowed, **kwargs):
        with self.lock:
            if self.instances.pop(instance_id, None) is None:
                raise errors.ErrInstanceDoesNotExist()
        return DeprovisionServiceSpec(is_async=False)


def main():
    port, user, password = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    notebooks = Notebooks()
    app = Flask("notebooks")
    logger = basic_config()
    app.register_blueprint(get_blueprint(notebooks, BrokerCredentials(user, password), logger))

    @app.get("/books")
    def books():
        return jsonify(instances=sorted(notebooks.instances), bindings=sorted(notebooks.bindings))

    app.run("127.0.0.1", port, threaded=True)


if __name__ == "__main__":
    main()
