from .launch import launch
