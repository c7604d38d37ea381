"""Accounts out of fixtures: the MSP's own, and the two clients of the demonstration."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

EVERYTHING = (
    "ec2:Describe*",
    "ec2:RunInstances",
    "ec2:StartInstances",
    "ec2:StopInstances",
    "ec2:TerminateInstances",
    "ec2:CreateTags",
    "ec2:DeleteTags",
    "iam:ListAccountAliases",
    "sts:GetCallerIdentity",
)

# The MSP's keys do nothing but take up a role in each client's account.
MSP: Json = {
    "slug": "msp",
    "account_id": "999900001111",
    "display_name": "Managed services",
    "region": "us-east-1",
    "user": {"name": "opsloom", "actions": ["sts:AssumeRole", "sts:GetCallerIdentity"]},
}

CONTOSO: Json = {
    "slug": "contoso",
    "account_id": "111122223333",
    "display_name": "contoso",
    "region": "us-east-1",
    "role": {"name": "Opsloom", "external_id": "contoso-5f1c", "trusts": "msp", "actions": list(EVERYTHING)},
    "images": [
        {
            "name": "contoso-engineering-2026.10",
            "description": "Engineering workstation, October 2026",
            "created": "2026-10-05T06:00:00+00:00",
        },
        {
            "name": "contoso-server-2026.09",
            "description": "Hardened server, September 2026",
            "created": "2026-09-07T06:00:00+00:00",
        },
    ],
    "key_pairs": ["contoso-engineering"],
    "security_groups": [
        {"name": "engineering", "description": "Engineers' machines"},
        {"name": "internal-web", "description": "Web servers of the office"},
    ],
    "instances": [
        {
            "name": "build-01",
            "image": "contoso-server-2026.09",
            "instance_type": "m6i.large",
            "tags": {"Department": "Engineering"},
        },
        {
            "name": "intranet",
            "image": "contoso-server-2026.09",
            "instance_type": "t3.small",
            "tags": {"Department": "Communication"},
        },
        {
            "name": "payroll-2019",
            "image": "contoso-server-2026.09",
            "instance_type": "t3.medium",
            "tags": {"Department": "Finance"},
            "state": "stopped",
        },
    ],
}

FABRIKAM: Json = {
    "slug": "fabrikam",
    "account_id": "444455556666",
    "display_name": "fabrikam",
    "region": "eu-west-3",
    "user": {"name": "opsloom", "actions": list(EVERYTHING)},
    "images": [
        {
            "name": "fabrikam-poste-2026.11",
            "description": "Poste de travail, novembre 2026",
            "created": "2026-11-02T06:00:00+00:00",
        }
    ],
    "key_pairs": ["fabrikam-atelier"],
    "security_groups": [{"name": "atelier", "description": "Postes de l'atelier"}],
    "instances": [
        {
            "name": "erp",
            "image": "fabrikam-poste-2026.11",
            "instance_type": "m6i.xlarge",
            "tags": {"Service": "Production"},
        },
    ],
}

DEMO = (MSP, CONTOSO, FABRIKAM)
